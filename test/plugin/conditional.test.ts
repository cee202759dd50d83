// Conditional requests (RFC 9110 §13, RFC 9111 §4.3.2): a client that has the stored response is told
// so, whatever of hooks, waiting and HEAD lies between.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import {
  assertBypass,
  assertHit,
  assertNotStored,
  assertStatus,
  assertStored,
} from '../support/assert-status.ts'
import { type Answer, type Client, Door, openDoor, start } from '../support/app.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

const MODIFIED = 'Tue, 04 Nov 2025 10:00:00 GMT'
const LATER = 'Tue, 04 Nov 2025 10:00:01 GMT'
const BEFORE = 'Tue, 04 Nov 2025 09:59:59 GMT'

interface Scene {
  client: Client
  runs: () => number
  gate: Door
  door: Door
}

async function startPage(
  t: TestContext,
  fields: Record<string, string>,
  { cache = {}, before }: { cache?: object; before?: (app: FastifyInstance) => unknown } = {},
): Promise<Scene> {
  let runs = 0
  const scene: Omit<Scene, 'client'> = { runs: () => runs, gate: openDoor(), door: openDoor() }
  const client = await start(
    t,
    (app) => {
      app.get(
        '/page',
        { config: { cache: true }, preHandler: async () => scene.gate.pass() },
        async (_request: FastifyRequest, reply: FastifyReply) => {
          runs++
          await scene.door.pass()
          return reply.headers(fields).send('the page')
        },
      )
    },
    { cache, ...(before && { before }) },
  )
  return Object.assign(scene, { client })
}

/** A 304 has no content, and says nothing of any. */
function assertNotModified(answer: Answer): void {
  assert.equal(answer.status, 304)
  assert.equal(answer.text, '')
  for (const name of ['content-length', 'content-type', 'content-encoding', 'transfer-encoding']) {
    assert.equal(answer.headers[name], undefined, name)
  }
}

function assertWhole(answer: Answer): void {
  assert.equal(answer.status, 200)
  assert.equal(answer.text, 'the page')
}

type Conditions = Record<string, string | string[]>

const STRONG = { etag: '"v1"', 'last-modified': MODIFIED }
const WEAK = { etag: 'W/"v1"' }
const DATED = { 'last-modified': MODIFIED }
const CASES: [stored: Record<string, string>, conditions: Conditions, isNotModified: boolean][] = [
  [STRONG, { 'if-none-match': '"v1"' }, true],
  [STRONG, { 'if-none-match': 'W/"v1"' }, true],
  [WEAK, { 'if-none-match': '"v1"' }, true],
  [STRONG, { 'if-none-match': '"a", W/"b" ,, "v1"' }, true],
  [STRONG, { 'if-none-match': ['"a"', '"v1"'] }, true],
  [STRONG, { 'if-none-match': '*' }, true],
  [DATED, { 'if-none-match': '*' }, true],
  [STRONG, { 'if-none-match': '"v2"' }, false],
  [STRONG, { 'if-none-match': '"V1"' }, false],
  [STRONG, { 'if-none-match': 'v1' }, false],
  [STRONG, { 'if-none-match': '' }, false],
  [STRONG, { 'if-none-match': '"v1' }, false],
  [STRONG, { 'if-none-match': '"v1", broken"' }, false],
  [STRONG, { 'if-none-match': '"a,"v1"' }, false],
  [DATED, { 'if-none-match': '"v1"' }, false],
  [DATED, { 'if-modified-since': MODIFIED }, true],
  [DATED, { 'if-modified-since': LATER }, true],
  [DATED, { 'if-modified-since': BEFORE }, false],
  [DATED, { 'if-modified-since': 'Tuesday, 04-Nov-25 10:00:00 GMT' }, true],
  [DATED, { 'if-modified-since': 'Tue Nov  4 10:00:00 2025' }, true],
  [DATED, { 'if-modified-since': 'yesterday' }, false],
  [DATED, { 'if-modified-since': '1762250400' }, false],
  // RFC 9110 §13.1.3: ignored beside If-None-Match, whatever that says.
  [STRONG, { 'if-none-match': '"v1"', 'if-modified-since': BEFORE }, true],
  [STRONG, { 'if-none-match': '"v2"', 'if-modified-since': LATER }, false],
  [STRONG, { 'if-none-match': 'broken', 'if-modified-since': LATER }, false],
  [DATED, { 'if-none-match': '"v2"', 'if-modified-since': LATER }, false],
  // RFC 9110 §14.2: a Range comes after all conditions.
  [STRONG, { 'if-none-match': '"v1"', range: 'bytes=0-1' }, true],
]

for (const [stored, conditions, isNotModified] of CASES) {
  const title = `${JSON.stringify(conditions)} on a hit with ${JSON.stringify(stored)}`
  test(`${title} is answered with ${isNotModified ? 304 : 200}`, async (t) => {
    const { client, runs } = await startPage(t, stored)
    assertStored(await client.get('/page'))
    for (const method of ['GET', 'HEAD']) {
      const answer = await client.send(method, '/page', { headers: conditions })
      assertHit(answer)
      assert.equal(answer.status, isNotModified ? 304 : 200)
      if (isNotModified) assertNotModified(answer)
      else if (method === 'GET') assertWhole(answer)
    }
    assert.equal(runs(), 1)
  })
}

testInAllTiers('a 304 has the fields that the client updates its copy with', async (t, cache) => {
  let requests = 0
  const { client } = await startPage(
    t,
    {
      ...STRONG,
      'cache-control': 'max-age=60',
      'content-language': 'en',
      'content-location': '/page.en',
      'x-version': '7',
      'content-type': 'text/plain',
      expires: LATER,
      vary: 'accept-language',
    },
    {
      cache,
      before: (app) =>
        app.addHook('onRequest', async (request, reply) => {
          reply.header('x-request', String(++requests)).header('vary', 'origin')
          reply.header('access-control-allow-origin', String(request.headers.origin))
          reply.header('content-security-policy', `script-src 'nonce-${requests}'`)
        }),
    },
  )
  await client.get('/page')
  for (const run of [2, 3]) {
    const answer = await client.get('/page', { 'if-none-match': '"v1"', origin: `https://o${run}` })
    assertNotModified(answer)
    assertHit(answer)
    const { headers } = answer
    assert.equal(headers.etag, '"v1"')
    assert.equal(headers['cache-control'], 'max-age=60')
    assert.equal(headers.expires, LATER)
    assert.equal(headers['content-location'], '/page.en')
    assert.equal(headers['x-version'], '7')
    assert.match(headers.age ?? '', /^\d+$/)
    assert.match(headers.date ?? '', /GMT$/)
    assert.deepEqual(headers.vary?.toLowerCase().split(', ').toSorted(), [
      'accept-language',
      'origin',
    ])
    assert.equal(headers['x-request'], String(run))
    assert.equal(headers['access-control-allow-origin'], `https://o${run}`)
    assert.equal(headers['content-security-policy'], `script-src 'nonce-${run}'`)
    // It describes what is not sent, and the entity tag says more (RFC 9110 §15.4.5).
    assert.equal(headers['content-language'], undefined)
    assert.equal(headers['last-modified'], undefined)
  }
  // A 304 leaves what is stored as it was.
  const whole = await client.get('/page')
  assertHit(whole)
  assertWhole(whole)
  assert.equal(whole.headers['content-language'], 'en')
  assert.equal(whole.headers['last-modified'], MODIFIED)
})

test('a 304 carries the Cache-Control that clients are to have', async (t) => {
  const cache = { defaults: { ttl: '1h', clientCacheControl: 'max-age=5' } }
  const { client } = await startPage(t, { etag: '"v1"' }, { cache })
  await client.get('/page')
  const answer = await client.get('/page', { 'if-none-match': '"v1"' })
  assertNotModified(answer)
  assert.equal(answer.headers['cache-control'], 'max-age=5')
})

test('each of those who waited is answered by its own conditions', async (t) => {
  const scene = await startPage(t, STRONG)
  scene.door = new Door()
  const { client, gate, door } = scene
  const leader = client.get('/page')
  await door.reached()
  const conditions: Conditions[] = [
    { 'if-none-match': '"v1"' },
    { 'if-none-match': '"v2"' },
    { 'if-modified-since': LATER },
    {},
  ]
  const followers = conditions.map((headers) => client.get('/page', headers))
  await gate.reached(5)
  await later()
  door.open()
  assertStored(await leader)
  const [same, other, since, none] = await Promise.all(followers)
  for (const answer of [same!, since!]) assertNotModified(answer)
  for (const answer of [other!, none!]) assertWhole(answer)
  for (const answer of [same!, other!, since!, none!]) {
    assertStatus(answer, { fwd: 'uri-miss', collapsed: true })
    assert.equal(answer.headers.age, '0')
  }
  assert.equal(scene.runs(), 1)
})

test('on a miss the handler sees the conditions, and its own 304 is the answer and not stored', async (t) => {
  const seen: unknown[] = []
  const client = await start(t, (app) => {
    app.get('/page', { config: { cache: true } }, async ({ headers }, reply) => {
      seen.push(headers['if-none-match'])
      reply.header('etag', '"v1"')
      return headers['if-none-match'] === '"v1"' ? reply.code(304).send() : 'the page'
    })
  })
  const first = await client.get('/page', { 'if-none-match': '"v1"' })
  assertNotModified(first)
  assertNotStored(first, 'status')
  // Nobody else gets it.
  const whole = await client.get('/page')
  assertStored(whole)
  assertWhole(whole)
  assert.deepEqual(seen, ['"v1"', undefined])
  assertNotModified(await client.get('/page', { 'if-none-match': '"v1"' }))
})

test('a handler that does not look at conditions answers 200 on a miss, and that is stored', async (t) => {
  const { client, runs } = await startPage(t, STRONG)
  const first = await client.get('/page', { 'if-none-match': '"v0"' })
  assertWhole(first)
  assertStored(first)
  assertHit(await client.get('/page', { 'if-none-match': '"v0"' }))
  assert.equal(runs(), 1)
})

for (const name of ['If-Match', 'If-Unmodified-Since']) {
  test(`a request with ${name} goes to the handler as it is`, async (t) => {
    const client = await start(t, (app) => {
      app.get('/page', { config: { cache: true } }, async ({ headers }, reply) => {
        const value = headers[name.toLowerCase()]
        if (value !== undefined && value !== '"v1"') return reply.code(412).send('changed')
        return reply.headers(STRONG).send('the page')
      })
    })
    assertStored(await client.get('/page'))
    for (const method of ['GET', 'HEAD']) {
      const failed = await client.send(method, '/page', { headers: { [name]: BEFORE } })
      assert.equal(failed.status, 412)
      assertBypass(failed, 'precondition')
    }
    // Also beside conditions that a cache may evaluate.
    const both = await client.get('/page', { [name]: '"v1"', 'if-none-match': '"v1"' })
    assertWhole(both)
    assertBypass(both, 'precondition')
    assertHit(await client.get('/page'))
  })
}

test('a stored 404 is not compared with anything', async (t) => {
  const client = await start(t, (app) => {
    const cache = { ttl: '1h', statuses: { 404: '10s' } }
    app.get('/page', { config: { cache } }, async (_request, reply) =>
      reply.code(404).header('etag', '"v1"').send('none'),
    )
  })
  await client.get('/page')
  const answer = await client.get('/page', { 'if-none-match': '"v1"' })
  assert.equal(answer.status, 404)
  assert.equal(answer.text, 'none')
  assertHit(answer)
})

test('the variant of the request is what its conditions are compared with', async (t) => {
  const client = await start(t, (app) => {
    app.get('/page', { config: { cache: true } }, async ({ headers }, reply) => {
      const language = headers['accept-language']
      return reply
        .headers({ vary: 'accept-language', etag: `"${language}"` })
        .send(`in ${language}`)
    })
  })
  const get = (language: string, tag?: string): Promise<Answer> =>
    client.get('/page', { 'accept-language': language, ...(tag && { 'if-none-match': tag }) })
  for (const language of ['de', 'en']) await get(language)
  const german = await get('de', '"de"')
  assertNotModified(german)
  assert.equal(german.headers.etag, '"de"')
  assert.equal(german.headers.vary?.toLowerCase(), 'accept-language')
  const changed = await get('en', '"de"')
  assert.equal(changed.status, 200)
  assert.equal(changed.text, 'in en')
})
