// RFC 9111 §4.3: the handler confirms what is stored, and the client gets what it asked for.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import etag from '@fastify/etag'
import type { FastifyReply, FastifyRequest } from 'fastify'

import { assertStatus, statusOf } from '../support/assert-status.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { type Answering, startScene } from './stale.ts'

const DATE = 'Tue, 14 Nov 2023 10:00:00 GMT'

interface Page {
  tag: string | undefined
  modified: string | undefined
  text: string
  /** Conditions that the handler was asked with, `cacheStale` beside them. */
  asked: unknown[]
}

/** A handler that answers conditional requests, as a static file or an upstream does. */
function conditional(page: Page): Answering {
  return (run, request: FastifyRequest, reply: FastifyReply) => {
    const { headers } = request
    const [none, since] = [headers['if-none-match'], headers['if-modified-since']]
    page.asked.push([none, since, request.cacheStale])
    reply.header('x-run', run)
    if (page.tag !== undefined) reply.header('etag', page.tag)
    if (page.modified !== undefined) reply.header('last-modified', page.modified)
    const isKnown =
      none === undefined ? since !== undefined && since === page.modified : none === page.tag
    if (isKnown) return reply.code(304).send()
    return reply.type('text/x-page').send(page.text)
  }
}

const newPage = (change: Partial<Page> = {}): Page => ({
  tag: '"a"',
  modified: undefined,
  text: 'page',
  asked: [],
  ...change,
})

const CONFIRMED = { fwd: 'stale', 'fwd-status': 304, stored: true } as const

for (const [name, validators, asked] of [
  ['an ETag', {}, ['"a"', undefined]],
  ['a weak ETag', { tag: 'W/"a"' }, ['W/"a"', undefined]],
  ['a Last-Modified', { tag: undefined, modified: DATE }, [undefined, DATE]],
  ['both', { modified: DATE }, ['"a"', DATE]],
] as const) {
  onEachTier(
    `a stale response with ${name} is confirmed by the handler, and fresh again`,
    async (t, cache) => {
      const page = newPage(validators)
      const scene = await startScene(t, { cache, answer: conditional(page) })
      assert.equal((await scene.get()).text, 'page')
      scene.pass(12)
      const answer = await scene.get()
      assert.equal(answer.status, 200)
      assert.equal(answer.text, 'page')
      assert.deepEqual(statusOf(answer), CONFIRMED)
      assert.equal(answer.headers['x-run'], '2', 'fields of the 304 go before')
      assert.equal(answer.headers['content-type'], 'text/x-page')
      assert.equal(answer.headers['content-length'], '4')
      const [etagOf, lastModified] = asked
      assert.deepEqual(page.asked, [
        [undefined, undefined, undefined],
        [etagOf, lastModified, { etag: etagOf, lastModified }],
      ])
      scene.pass(9)
      const hit = await scene.get()
      assert.equal(hit.text, 'page')
      assert.equal(hit.headers['x-run'], '2')
      assert.equal(hit.headers.age, '9')
      assert.deepEqual(statusOf(hit), { hit: true, ttl: 1 })
    },
  )
}

onEachTier('a new response in place of a 304 replaces the stored one', async (t, cache) => {
  const page = newPage()
  const scene = await startScene(t, { cache, answer: conditional(page) })
  await scene.get()
  scene.pass(12)
  Object.assign(page, { tag: '"b"', text: 'new page' })
  const answer = await scene.get()
  assert.equal(answer.text, 'new page')
  assertStatus(answer, { fwd: 'stale', stored: true })
  const hit = await scene.get()
  assert.equal(hit.text, 'new page')
  assert.equal(hit.headers.etag, '"b"')
  assert.equal(statusOf(hit).hit, true)
})

onEachTier('an invalidated response is validated before it answers again', async (t, cache) => {
  const page = newPage()
  const scene = await startScene(t, { cache, answer: conditional(page) })
  await scene.get()
  await scene.cache.invalidateTags(['x'])
  assert.deepEqual(statusOf(await scene.get()), CONFIRMED)
  assert.equal(statusOf(await scene.get()).hit, true)
  await scene.cache.invalidateTags(['x'], { mode: 'purge' })
  await scene.get()
  assert.deepEqual(page.asked[2], [undefined, undefined, undefined], 'nothing is left of it')
})

onEachTier('what was confirmed keeps its tags, which came with the response', async (t, cache) => {
  const page = newPage()
  const scene = await startScene(t, {
    cache,
    route: {
      tags: (_request, _reply, payload) => [
        `text:${String(payload)}`,
        `id:${(payload as { id?: string }).id}`,
      ],
    },
    answer: (run, request, reply) => {
      if (request.headers['if-none-match'] === undefined) {
        reply.cacheTags('own')
        return reply.header('etag', '"a"').send({ id: '7' })
      }
      return conditional(page)(run, request, reply)
    },
  })
  for (const tag of ['id:7', 'own']) {
    await scene.cache.clear()
    await scene.get()
    scene.pass(12)
    assert.deepEqual(statusOf(await scene.get()), CONFIRMED)
    assert.equal(statusOf(await scene.get()).hit, true)
    await scene.cache.invalidateTags([tag])
    assert.notEqual(statusOf(await scene.get()).hit, true, `${tag} is still a tag of it`)
  }
})

test("the client's own conditions count for the client, and do not reach the handler", async (t) => {
  const page = newPage({ modified: DATE })
  const scene = await startScene(t, { answer: conditional(page) })
  await scene.get()
  const cases: [Record<string, string>, number][] = [
    [{ 'if-none-match': '"a"' }, 304],
    [{ 'if-none-match': 'W/"z", W/"a"' }, 304],
    [{ 'if-none-match': '*' }, 304],
    [{ 'if-none-match': '"z"' }, 200],
    [{ 'if-none-match': '"z"', 'if-modified-since': DATE }, 200],
    [{ 'if-modified-since': DATE }, 304],
    [{ 'if-modified-since': 'Tue, 14 Nov 2023 09:00:00 GMT' }, 200],
    [{ range: 'bytes=0-0', 'if-range': '"a"' }, 200],
  ]
  for (const [own, status] of cases) {
    scene.pass(12)
    const answer = await scene.get(own)
    assert.equal(answer.status, status, JSON.stringify(own))
    assert.deepEqual(statusOf(answer), CONFIRMED)
    assert.deepEqual(page.asked.at(-1), ['"a"', DATE, { etag: '"a"', lastModified: DATE }])
    if (status === 200) assert.equal(answer.text, 'page')
    else {
      assert.equal(answer.text, '')
      assert.equal(answer.headers.etag, '"a"')
      assert.equal(answer.headers['content-type'], undefined)
    }
    const hit = await scene.get()
    assert.equal(hit.text, 'page', 'what the client asked does not change what is stored')
    assert.equal(hit.headers['content-type'], 'text/x-page')
  }
})

test('a client that has the new version already is told so, with a 200 stored', async (t) => {
  const page = newPage()
  const scene = await startScene(t, { answer: conditional(page) })
  await scene.get()
  scene.pass(12)
  Object.assign(page, { tag: '"b"', text: 'new page' })
  const answer = await scene.get({ 'if-none-match': '"b"' })
  assert.equal(answer.status, 304)
  assert.equal(answer.headers.etag, '"b"')
  assertStatus(answer, { fwd: 'stale', stored: true })
  assert.equal((await scene.get()).text, 'new page')
})

test("hooks see the request's own fields before the handler and after it", async (t) => {
  const seen: unknown[] = []
  const note = (where: string) => async (request: FastifyRequest) =>
    void seen.push([where, request.headers['if-none-match'], request.raw.headers['if-none-match']])
  const scene = await startScene(t, {
    answer: conditional(newPage()),
    hooks: {
      preHandler: note('preHandler'),
      onSend: note('onSend'),
      onResponse: note('onResponse'),
    },
  })
  await scene.get()
  scene.pass(12)
  seen.length = 0
  await scene.get({ 'if-none-match': '"mine"' })
  assert.deepEqual(seen, [
    ['preHandler', '"mine"', '"mine"'],
    ['onSend', '"mine"', '"mine"'],
    ['onResponse', '"mine"', '"mine"'],
  ])
})

test('@fastify/etag tells the client by its own tag, which is no question to the handler', async (t) => {
  let text = 'page'
  const asked: unknown[] = []
  const scene = await startScene(t, {
    build: (app) => app.register(etag),
    route: { staleIfError: 60 },
    answer: (_run, request) => {
      asked.push(request.headers['if-none-match'], request.cacheStale)
      return text
    },
  })
  const tag = (await scene.get()).headers.etag!
  scene.pass(12)
  const answer = await scene.get({ 'if-none-match': tag })
  assert.equal(answer.status, 304)
  assertStatus(answer, { fwd: 'stale', stored: true })
  assert.equal((await scene.get()).text, 'page')
  text = 'new page'
  scene.pass(12)
  assert.equal((await scene.get({ 'if-none-match': tag })).text, 'new page')
  assert.deepEqual(asked.slice(2), [tag, undefined, tag, undefined])
})

test('fields of a schema that a validator made anew do not bring the client back in', async (t) => {
  const page = newPage()
  const scene = await startScene(t, {
    answer: conditional(page),
    hooks: {
      schema: { headers: { any: true } },
      // As zod and joi do: the validator gives a value of its own.
      validatorCompiler: () => (value: unknown) => ({
        value: { ...(value as object), 'x-made': '1' },
      }),
    },
  })
  await scene.get()
  scene.pass(12)
  Object.assign(page, { tag: '"b"', text: 'new page' })
  const answer = await scene.get({ 'if-none-match': '"b"' })
  assert.deepEqual(page.asked.at(-1), ['"a"', undefined, { etag: '"a"', lastModified: undefined }])
  assert.equal(answer.status, 304)
  assert.equal((await scene.get()).text, 'new page')
})

onEachTier(
  'a 304 about another version is an error, and the next request is not conditional',
  async (t, cache) => {
    const asked: unknown[] = []
    const scene = await startScene(t, {
      cache,
      answer: (run, { headers }, reply) => {
        asked.push(headers['if-none-match'])
        if (headers['if-none-match'] !== undefined)
          return reply.code(304).header('etag', '"b"').send()
        return reply.header('etag', '"a"').send(`run ${run}`)
      },
    })
    await scene.get()
    scene.pass(12)
    const answer = await scene.get()
    assert.equal(answer.status, 502)
    assert.equal(JSON.parse(answer.text).code, 'FST_RESPONSE_CACHE_UNUSABLE_VALIDATION')
    assert.equal(answer.headers.etag, undefined)
    assertStatus(answer, { fwd: 'stale', detail: 'error' })
    assert.equal((await scene.get()).text, 'run 3')
    assert.deepEqual(asked, [undefined, '"a"', undefined])
  },
)

test('a 304 about another version is an error that a stale response may stand in for', async (t) => {
  const scene = await startScene(t, {
    route: { staleIfError: 60 },
    answer: (run, { headers }, reply) => {
      if (headers['if-none-match'] !== undefined)
        return reply.code(304).header('etag', '"b"').send()
      return reply.header('etag', '"a"').send(`run ${run}`)
    },
  })
  await scene.get()
  scene.pass(12)
  const answer = await scene.get()
  assert.equal(answer.text, 'run 1')
  assert.deepEqual(statusOf(answer), { fwd: 'stale', 'fwd-status': 304, detail: 'stale-if-error' })
})

// As servers do that weaken the tag of what they compress, and do not compress a 304.
test('a 304 with the strong form of a weak tag confirms, and updates nothing', async (t) => {
  const scene = await startScene(t, {
    answer: (run, { headers }, reply) => {
      reply.header('x-run', run)
      if (headers['if-none-match'] !== undefined)
        return reply.code(304).header('etag', '"a"').send()
      return reply.header('etag', 'W/"a"').send(`run ${run}`)
    },
  })
  await scene.get()
  scene.pass(12)
  for (let count = 0; count < 2; count++) {
    const answer = await scene.get()
    assert.equal(answer.text, 'run 1')
    assert.equal(answer.headers['x-run'], '1')
    assert.deepEqual(statusOf(answer), { fwd: 'stale', 'fwd-status': 304, detail: 'status' })
  }
})

test('HEAD of a stale response asks the handler, with the own conditions of the client', async (t) => {
  const page = newPage()
  const scene = await startScene(t, { answer: conditional(page) })
  await scene.get()
  scene.pass(12)
  const answer = await scene.client.head('/x', { host: 'shop.example', 'if-none-match': '"z"' })
  assert.equal(answer.status, 200)
  assert.deepEqual(page.asked.at(-1), ['"z"', undefined, undefined])
  assert.deepEqual(statusOf(await scene.get()), CONFIRMED)
})

test('two processes over Redis: what one had confirmed is fresh in the other', async (t) => {
  const cache = await overRedis()
  const page = newPage()
  const one = await startScene(t, { cache, answer: conditional(page) })
  const two = await startScene(t, { cache, beside: one, answer: conditional(page) })
  await one.get()
  await one.written()
  assert.equal(statusOf(await two.get()).hit, true)
  one.pass(12)
  assert.deepEqual(statusOf(await two.get()), CONFIRMED)
  await two.written()
  one.pass(1)
  const hit = await one.get()
  assert.deepEqual(statusOf(hit), { hit: true, ttl: 9 })
  assert.equal(hit.text, 'page')
  assert.equal(one.runs + two.runs, 2)
})

onEachTier('a background refresh validates too', async (t, cache) => {
  const page = newPage()
  const scene = await startScene(t, {
    cache,
    route: { staleWhileRevalidate: 60 },
    answer: conditional(page),
  })
  await scene.get()
  scene.pass(12)
  assert.equal(statusOf(await scene.get({ 'if-none-match': '"a"' })).ttl, -2)
  await scene.refreshed('page')
  assert.deepEqual(page.asked[1], ['"a"', undefined, { etag: '"a"', lastModified: undefined }])
  assert.equal(scene.cache.stats().failures['refresh'], undefined)
})

test('requests that wait for the validation share what it confirms', async (t) => {
  const scene = await startScene(t, { answer: conditional(newPage()) })
  await scene.get()
  scene.pass(12)
  const door = scene.shut()
  const all = Array.from({ length: 10 }, (_, index) =>
    scene.get(index % 2 === 0 ? {} : { 'if-none-match': '"a"' }),
  )
  await door.reached()
  door.open()
  const answers = await Promise.all(all)
  assert.deepEqual(answers.map(({ status }) => status).sort(), [
    ...[200, 200, 200, 200, 200],
    ...[304, 304, 304, 304, 304],
  ])
  assert.equal(scene.runs, 2)
})
