// A route of which nearly nothing may be shared stops to make requests wait for each other.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import { statusOf } from '../support/assert-status.ts'
import { type Answer, type Client, Door, openDoor, start } from '../support/app.ts'

interface Scene {
  client: Client
  app: FastifyInstance
  /** Where handlers wait. */
  door: Door
  gate: Door
  state: () => string
}

type Answering = (id: string, reply: FastifyReply, request: FastifyRequest) => unknown

async function startScene(
  t: TestContext,
  answer: Answering,
  cache: RouteCacheOptions = {},
): Promise<Scene> {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  const scene = { door: openDoor(), gate: openDoor() } as Scene
  scene.client = await start(t, (app) => {
    scene.app = app
    app.get<{ Params: { id: string } }>(
      '/x/:id',
      { config: { cache: { ttl: 60, ...cache } }, preHandler: async () => scene.gate.pass() },
      async (request, reply) => {
        await scene.door.pass()
        return answer(request.params.id, reply, request)
      },
    )
  })
  scene.state = () => scene.app.cache.stats().routes['/x/:id']!.coalescing
  return scene
}

/** As a session plugin does for everybody who comes without a cookie. */
const withCookie: Answering = (id, reply) => {
  void reply.header('set-cookie', `id=${id}`)
  return id
}

let cold = 0
async function askCold({ client }: Scene, times: number): Promise<void> {
  for (let n = 0; n < times; n++) await client.get(`/x/cold-${++cold}`)
}

/** How many of so many concurrent requests for one key run the handler before any has its answer. */
async function runsAtOnce(t: TestContext, scene: Scene, path: string): Promise<number> {
  const [door, gate] = [new Door(), openDoor()]
  Object.assign(scene, { door, gate })
  t.after(() => door.open())
  const answers: Promise<Answer>[] = Array.from({ length: 5 }, () => scene.client.get(path))
  await gate.reached(5)
  // A request of its own to the same process: what could run has run by then.
  for (let n = 0; n < 3; n++) await scene.client.get('/nothing-here')
  const runs = door.arrived
  door.open()
  await Promise.all(answers)
  scene.door = openDoor()
  return runs
}

test('concurrent requests for a cold key wait for one run, until nearly all runs were uncacheable', async (t) => {
  const scene = await startScene(t, withCookie)
  assert.equal(scene.state(), 'on')
  assert.equal(await runsAtOnce(t, scene, '/x/first'), 1)
  await askCold(scene, 20)
  assert.equal(scene.state(), 'suspended')
  assert.equal(await runsAtOnce(t, scene, '/x/second'), 5)
})

test('a suspended route is probed now and then', async (t) => {
  const scene = await startScene(t, withCookie)
  await askCold(scene, 20)
  assert.equal(await runsAtOnce(t, scene, '/x/before'), 5)
  t.mock.timers.tick(5000)
  assert.equal(await runsAtOnce(t, scene, '/x/probe'), 1)
  assert.equal(await runsAtOnce(t, scene, '/x/after'), 5)
  assert.equal(scene.state(), 'suspended')
})

test('a few cacheable answers restore it', async (t) => {
  let isPrivate = true
  const scene = await startScene(t, (id, reply) => {
    if (isPrivate) void reply.header('set-cookie', `id=${id}`)
    return id
  })
  await askCold(scene, 40)
  assert.equal(scene.state(), 'suspended')
  isPrivate = false
  await askCold(scene, 3)
  assert.equal(scene.state(), 'on')
  assert.equal(await runsAtOnce(t, scene, '/x/again'), 1)
})

for (const [what, answer, headers] of [
  ['not found', (id, reply) => reply.code(404).send(id), {}],
  ['failed', (_id, reply) => reply.code(503).send('no'), {}],
  [
    'thrown',
    () => {
      throw new Error('on purpose')
    },
    {},
  ],
  ['not to be stored for its client', (id) => id, { 'cache-control': 'no-store' }],
] satisfies [string, Answering, Record<string, string>][]) {
  test(`what was ${what} says nothing of the route`, async (t) => {
    const scene = await startScene(t, answer, { requestDirectives: true })
    for (let n = 0; n < 40; n++) await scene.client.get(`/x/${n}`, headers)
    assert.equal(scene.state(), 'on')
  })
}

test('uncacheable answers do not suspend a route that has hits', async (t) => {
  const scene = await startScene(t, (id, reply, request) =>
    id === 'hot' ? id : withCookie(id, reply, request),
  )
  for (let n = 0; n < 40; n++) {
    await askCold(scene, 1)
    await scene.client.get('/x/hot')
  }
  assert.equal(scene.state(), 'on')
})

test('streams count by what became of them', async (t) => {
  const scene = await startScene(t, (id, reply) => reply.send(Readable.from([id.repeat(100)])), {
    maxBytes: 10,
  })
  await askCold(scene, 20)
  assert.equal(scene.state(), 'suspended')
})

test('what has to be confirmed before each use counts as uncacheable', async (t) => {
  const scene = await startScene(
    t,
    (id, reply) => reply.headers({ 'cache-control': 'no-cache', etag: `"${id}"` }).send(id),
    { ttl: 'headers' },
  )
  await askCold(scene, 20)
  assert.equal(scene.state(), 'suspended')
})

test('on a suspended route one request refreshes what is stored, and the others get it stale', async (t) => {
  const scene = await startScene(
    t,
    (id, reply, request) => (id === 'kept' ? id : withCookie(id, reply, request)),
    { staleWhileRevalidate: 60, vary: { by: () => 'me' } },
  )
  await scene.client.get('/x/kept')
  await askCold(scene, 40)
  assert.equal(scene.state(), 'suspended')
  t.mock.timers.tick(61_000)
  // The time of the probe has come as well: somebody else takes it.
  await askCold(scene, 1)
  assert.equal(await runsAtOnce(t, scene, '/x/kept'), 1)
  const again = await scene.client.get('/x/kept')
  assert.deepEqual(statusOf(again), { hit: true, ttl: 60 })
})

test('a route without coalescing says so', async (t) => {
  const scene = await startScene(t, withCookie, { coalesce: false })
  await askCold(scene, 20)
  assert.equal(scene.state(), 'off')
})
