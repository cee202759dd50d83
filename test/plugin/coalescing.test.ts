// Promise 10: concurrent misses share one run, nobody waits for ever, and what must not be shared
// makes nobody wait behind anybody.
import assert from 'node:assert/strict'
import { mock, test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import type { FastifyReply } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import {
  assertHit,
  assertNotStored,
  assertStatus,
  assertStored,
  statusOf,
} from '../support/assert-status.ts'
import {
  type Answer,
  type Client,
  Door,
  PATIENCE_MS,
  eventually,
  openDoor,
  start,
} from '../support/app.ts'

interface Scene {
  client: Client
  /** Where handlers wait. */
  door: Door
  /** Passed by every request just before the cache is asked. */
  gate: Door
  invalidate: (tags: string[]) => Promise<void>
  flights: () => number
}

async function startScene(
  t: Parameters<typeof start>[0],
  answer: (run: number, reply: FastifyReply, headers: Record<string, unknown>) => unknown,
  cache: RouteCacheOptions = {},
): Promise<Scene> {
  const door = new Door()
  const gate = openDoor()
  let run = 0
  let invalidate!: Scene['invalidate']
  let flights!: Scene['flights']
  const client = await start(t, (app) => {
    invalidate = (tags) => app.cache.invalidateTags(tags)
    flights = () => app.cache.stats().flights
    app.get(
      '/x',
      { config: { cache: { ttl: '1h', ...cache } }, preHandler: async () => gate.pass() },
      async (request, reply) => {
        const own = ++run
        await door.pass()
        return answer(own, reply, request.headers)
      },
    )
  })
  t.after(() => door.open())
  return { client, door, gate, invalidate, flights }
}

/** One leader, who is at the door, and others who have asked after it. */
async function gather({ client, door, gate }: Scene, count: number): Promise<Promise<Answer>[]> {
  const leader = client.get('/x')
  await door.reached()
  const others = Array.from({ length: count - 1 }, () => client.get('/x'))
  await gate.reached(count)
  await later()
  return [leader, ...others]
}

test('50 concurrent requests make one handler run', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`)
  const asked = await gather(scene, 50)
  assert.equal(scene.flights(), 1)
  scene.door.open()
  const [leader, ...followers] = await Promise.all(asked)
  assertStored(leader!)
  for (const answer of followers) {
    assert.equal(answer.text, 'run 1')
    assertStatus(answer, { fwd: 'uri-miss', collapsed: true })
    assert.equal(answer.headers.age, '0')
  }
  assert.equal(scene.door.arrived, 1)
  assert.equal(scene.flights(), 0)
  const hit = await scene.client.get('/x')
  assertHit(hit)
  assert.equal(hit.text, 'run 1')
})

test('requests that arrive at the same time make one handler run', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`)
  scene.door.open()
  const answers = await Promise.all(Array.from({ length: 50 }, () => scene.client.get('/x')))
  for (const answer of answers) assert.equal(answer.text, 'run 1')
  assert.equal(scene.door.arrived, 1)
})

test('coalesce: false runs the handler for each, and each answer may be stored', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`, { coalesce: false })
  const asked = Array.from({ length: 5 }, () => scene.client.get('/x'))
  await scene.door.reached(5)
  scene.door.open()
  const texts = (await Promise.all(asked)).map(({ text }) => text)
  assert.deepEqual(texts.sort(), ['run 1', 'run 2', 'run 3', 'run 4', 'run 5'])
  assertHit(await scene.client.get('/x'))
})

const UNSHARABLE: [string, (reply: FastifyReply) => unknown][] = [
  ['private', (reply) => void reply.header('cache-control', 'private')],
  ['set-cookie', (reply) => void reply.header('set-cookie', 'a=1')],
  ['skipped', (reply) => reply.cacheSkip()],
  [
    'error',
    () => {
      throw new Error('broken')
    },
  ],
]

for (const [reason, spoil] of UNSHARABLE) {
  test(`a leader whose answer is not to be shared (${reason}) frees all others at once, side by side`, async (t) => {
    const followers = new Door()
    const scene = await startScene(t, async (run, reply) => {
      if (run > 1) await followers.pass()
      spoil(reply)
      return `run ${run}`
    })
    const asked = await gather(scene, 10)
    scene.door.open()
    assertNotStored(await asked[0]!, reason)
    // All are in their handlers together: nobody waits for the answer of another.
    await followers.reached(9)
    followers.open()
    const answers = await Promise.all(asked)
    for (const answer of answers) assertNotStored(answer, reason)
    if (reason !== 'error') assert.equal(new Set(answers.map(({ text }) => text)).size, 10)
  })
}

test('a key that proved uncacheable is not waited for in the next seconds, and then again', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  let isPrivate = true
  let door = openDoor()
  const gate = openDoor()
  const client = await start(t, (app) => {
    app.get(
      '/x',
      { config: { cache: true }, preHandler: async () => gate.pass() },
      async (_request, reply) => {
        await door.pass()
        if (isPrivate) reply.header('cache-control', 'private')
        return 'page'
      },
    )
  })
  assertNotStored(await client.get('/x'), 'private')
  door = new Door()
  const together = Array.from({ length: 5 }, () => client.get('/x'))
  await door.reached(5)
  door.open()
  await Promise.all(together)
  // The marker is for seconds only; an answer that may be stored is stored meanwhile.
  isPrivate = false
  assertStored(await client.get('/x'))
  mock.timers.tick(3600_000)
  door = new Door()
  const again = Array.from({ length: 5 }, () => client.get('/x'))
  await gate.reached(1 + 5 + 1 + 5)
  await later()
  assert.equal(door.arrived, 1)
  door.open()
  await Promise.all(again)
})

// Regression: the time of the marker was counted from the arrival of the leader.
test('a slow answer that proved uncacheable is remembered as long as a fast one', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  let door = new Door()
  const gate = openDoor()
  const client = await start(t, (app) => {
    app.get(
      '/x',
      { config: { cache: true }, preHandler: async () => gate.pass() },
      async (_request, reply) => {
        await door.pass()
        reply.header('cache-control', 'private')
        return 'page'
      },
    )
  })
  const leader = client.get('/x')
  await door.reached()
  mock.timers.tick(4000)
  door.open()
  assertNotStored(await leader, 'private')
  door = new Door()
  const together = Array.from({ length: 5 }, () => client.get('/x'))
  await gate.reached(6)
  await later()
  const { arrived } = door
  door.open()
  await Promise.all(together)
  assert.equal(arrived, 5, 'nobody waited for another')
})

test('a handler that never answers holds others for maxWaitMs, and no longer', async (t) => {
  const maxWaitMs = 200
  let stuck = true
  const door = new Door()
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { coalesce: { maxWaitMs } } } }, async () => {
      if (stuck) {
        stuck = false
        await door.pass()
      }
      return 'page'
    })
  })
  t.after(() => door.open())
  const gone = new AbortController()
  const leader = client.send('GET', '/x', { signal: gone.signal })
  await door.reached()
  const startedAt = performance.now()
  const followers = await Promise.all(Array.from({ length: 5 }, () => client.get('/x')))
  const waited = performance.now() - startedAt
  assert.ok(waited >= maxWaitMs * 0.9 && waited < PATIENCE_MS / 2, `waited ${waited} ms`)
  for (const answer of followers) {
    assert.equal(answer.text, 'page')
    assertStored(answer)
  }
  assertHit(await client.get('/x'))
  gone.abort()
  await assert.rejects(leader)
})

test('an abandoned run is not joined any more after maxWaitMs', async (t) => {
  mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  t.after(() => mock.timers.reset())
  let stuck = true
  const door = new Door()
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: { coalesce: { maxWaitMs: 60_000 } } } }, async () => {
      if (stuck) {
        stuck = false
        await door.pass()
        return 'late'
      }
      return 'page'
    })
  })
  const leader = client.get('/x')
  await door.reached()
  mock.timers.tick(60_000)
  const answer = await client.get('/x')
  assert.equal(answer.text, 'page')
  assertStored(answer)
  door.open()
  assert.equal((await leader).text, 'late')
})

test('a request that arrives after an invalidation does not get the result of a run begun before', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`, { tags: ['x'] })
  const early = await gather(scene, 2)
  await scene.invalidate(['x'])
  const late = [scene.client.get('/x'), scene.client.get('/x')]
  await scene.gate.reached(4)
  await later()
  scene.door.open()
  for (const answer of await Promise.all(late)) {
    assert.notEqual(answer.text, 'run 1')
    assert.equal(answer.status, 200)
  }
  const [leader] = await Promise.all(early)
  assertNotStored(leader!, 'invalidated')
  const next = await scene.client.get('/x')
  assert.notEqual(next.text, 'run 1')
})

test('an invalidation of something else does not disturb those who wait', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`, { tags: ['x'] })
  const asked = await gather(scene, 5)
  await scene.invalidate(['y'])
  scene.door.open()
  for (const answer of await Promise.all(asked)) assert.equal(answer.text, 'run 1')
  assert.equal(scene.door.arrived, 1)
})

test('those whom an invalidation released share the next run', async (t) => {
  const scene = await startScene(t, (run) => `run ${run}`, { tags: ['x'] })
  const asked = await gather(scene, 30)
  await scene.invalidate(['x'])
  scene.door.open()
  const answers = await Promise.all(asked)
  for (const { status } of answers) assert.equal(status, 200)
  assert.ok(scene.door.arrived <= 3, `${scene.door.arrived} runs for 30 requests`)
})

test('requests that differ in vary.by never share a run', async (t) => {
  const door = new Door()
  const client = await start(t, (app) => {
    const vary = {
      by: (request: { headers: Record<string, unknown> }) => request.headers['x-who'] as string,
    }
    app.get('/x', { config: { cache: { vary: vary as never } } }, async (request) => {
      await door.pass()
      return `for ${String(request.headers['x-who'])}`
    })
  })
  const names = ['ann', 'bob', 'eve']
  const asked = Array.from({ length: 12 }, (_, index) => names[index % 3]!)
  const answers = asked.map((name) => client.get('/x', { 'x-who': name, authorization: name }))
  await door.reached(3)
  door.open()
  const texts = (await Promise.all(answers)).map(({ text }) => text)
  assert.deepEqual(
    texts,
    asked.map((name) => `for ${name}`),
  )
  assert.equal(door.arrived, 3)
})

test('requests that go around the cache neither wait nor are waited for', async (t) => {
  const scene = await startScene(
    t,
    (run, _reply, headers) => `run ${run} for ${String(headers['authorization'])}`,
  )
  const own = ['a', 'b', 'c'].map((name) => scene.client.get('/x', { authorization: name }))
  await scene.door.reached(3)
  const anonymous = scene.client.get('/x')
  await scene.door.reached(4)
  scene.door.open()
  for (const [index, answer] of (await Promise.all(own)).entries()) {
    assert.match(answer.text, new RegExp(`for ${'abc'[index]}$`))
    assert.equal(statusOf(answer).fwd, 'bypass')
  }
  assert.match((await anonymous).text, /for undefined$/)
})

test('HEAD does not wait for a GET that is under way', async (t) => {
  const scene = await startScene(t, () => 'page')
  const page = scene.client.get('/x')
  await scene.door.reached()
  const head = scene.client.head('/x')
  await scene.door.reached(2)
  scene.door.open()
  assertStatus(await head, { fwd: 'uri-miss' })
  assertStored(await page)
})

test('a refusal before the handler leaves no run behind that others would wait for', async (t) => {
  let refuse = true
  let flights!: () => number
  const client = await start(t, (app) => {
    flights = () => app.cache.stats().flights
    const preHandler = async (): Promise<void> => {
      if (refuse) throw Object.assign(new Error('no'), { statusCode: 403 })
    }
    app.get('/x', { config: { cache: true }, preHandler }, async () => 'page')
  })
  assert.equal((await client.get('/x')).status, 403)
  await eventually(() => flights() === 0, 'a run is left')
  refuse = false
  assertStored(await client.get('/x'))
})
