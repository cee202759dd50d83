// Who refreshes: nobody's identity is known in the background, so a request that has one does it.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'

import type { FastifyRequest } from 'fastify'

import { isRefresh } from '../../src/index.ts'
import { assertStatus, statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import { onEachTier } from '../support/tiers.ts'
import { startScene } from './stale.ts'

const SWR = { staleWhileRevalidate: 60 } as const

const KEYED = {
  'vary.by': {
    vary: {
      by: (request: { headers: Record<string, unknown> }) => String(request.headers['x-who']),
    },
  },
  'vary.cookies': { vary: { cookies: ['who'] } },
  public: { public: true },
} as const

const ANN: Record<string, Record<string, string>> = {
  'vary.by': { 'x-who': 'ann', authorization: 'ann' },
  'vary.cookies': { cookie: 'who=ann' },
  public: { authorization: 'ann' },
}

for (const [name, vary] of Object.entries(KEYED)) {
  const ann = ANN[name]!
  onEachTier(
    `with ${name} the first request refreshes, and others meanwhile get the stale response`,
    async (t, cache) => {
      const seen: unknown[] = []
      const scene = await startScene(t, {
        cache,
        route: { ...SWR, ...(vary as object) },
        answer: (run, { headers }) => {
          seen.push({ ...headers })
          return `run ${run}`
        },
      })
      await scene.get(ann)
      scene.pass(12)
      const door = scene.shut()
      const first = scene.get(ann)
      await door.reached()
      // Longer than an entry in memory goes unchecked.
      scene.pass(2)
      for (const answer of await Promise.all(Array.from({ length: 20 }, () => scene.get(ann)))) {
        assert.equal(answer.text, 'run 1')
        assert.deepEqual(statusOf(answer), { hit: true, ttl: -4 })
      }
      assert.equal(door.arrived, 1)
      door.open()
      assert.equal((await first).text, 'run 2')
      assertStatus(await first, { fwd: 'stale', stored: true })
      const next = await scene.get(ann)
      assert.equal(next.text, 'run 2')
      assert.equal(statusOf(next).hit, true)
      assert.equal(scene.runs, 2)
      for (const headers of seen) {
        for (const [field, value] of Object.entries(ann)) {
          assert.equal(
            (headers as Record<string, unknown>)[field],
            value,
            'each run knows who asks',
          )
        }
      }
    },
  )

  onEachTier(
    `with ${name} requests that arrive together wait for nobody but the first`,
    async (t, cache) => {
      const scene = await startScene(t, { cache, route: { ...SWR, ...(vary as object) } })
      await scene.get(ann)
      scene.pass(12)
      const door = scene.shut()
      let stale = 0
      const all = Array.from({ length: 20 }, async () => {
        const answer = await scene.get(ann)
        if (answer.text === 'run 1') stale++
        return answer
      })
      await eventually('all but one are answered', () => stale === 19)
      door.open()
      await Promise.all(all)
      assert.equal(scene.runs, 2)
    },
  )
}

test('the refresh of one person does not show the response of another', async (t) => {
  const by = (request: { headers: Record<string, unknown> }): string =>
    String(request.headers['x-who'])
  const scene = await startScene(t, {
    route: { ...SWR, vary: { by } },
    answer: (run, { headers }) => `run ${run} for ${String(headers['x-who'])}`,
  })
  await scene.get({ 'x-who': 'ann' })
  await scene.get({ 'x-who': 'bob' })
  scene.pass(12)
  assert.equal((await scene.get({ 'x-who': 'ann' })).text, 'run 3 for ann')
  assert.equal((await scene.get({ 'x-who': 'bob' })).text, 'run 4 for bob')
  assert.equal((await scene.get({ 'x-who': 'ann' })).text, 'run 3 for ann')
})

test('on a public route a request without credentials is refreshed for in the background', async (t) => {
  const seen: (string | undefined)[] = []
  const scene = await startScene(t, {
    route: { ...SWR, public: true },
    answer: (run, { headers }) => {
      seen.push(headers.authorization)
      return `run ${run}`
    },
  })
  await scene.get({ authorization: 'ann' })
  scene.pass(12)
  assert.equal((await scene.get()).text, 'run 1')
  await scene.refreshed('run 2')
  assert.deepEqual(seen, ['ann', undefined])
})

test('a background refresh that finds another run under way shares it, and that is no failure', async (t) => {
  const scene = await startScene(t, { route: { ...SWR, public: true } })
  await scene.get()
  scene.pass(12)
  const door = scene.shut()
  const first = scene.get({ authorization: 'ann' })
  await door.reached()
  assert.equal((await scene.get()).text, 'run 1')
  door.open()
  assert.equal((await first).text, 'run 2')
  await scene.refreshed('run 2')
  scene.pass(12)
  // Had it failed, this would be the pause after it.
  assert.equal((await scene.get()).text, 'run 2')
  await scene.refreshed('run 3')
  assert.equal(scene.cache.stats().failures['refresh'], undefined)
  assert.equal(scene.runs, 3)
})

interface Seen {
  headers: FastifyRequest['headers']
  rawHeaders: string[]
  url: string
  host: string
  protocol: string
  ip: string
  refresh: boolean
}

function look(request: FastifyRequest): Seen {
  const { headers, raw, url, host, protocol, ip } = request
  const refresh = isRefresh(request)
  return { headers: { ...headers }, rawHeaders: raw.rawHeaders, url, host, protocol, ip, refresh }
}

onEachTier(
  'the background request has the URL, host, protocol and address of the first, and of its fields only those in the key',
  async (t, cache) => {
    const seen: Seen[] = []
    const scene = await startScene(t, {
      cache,
      fastify: { trustProxy: true, rewriteUrl: (raw) => raw.url!.replace('/before', '/x') },
      route: { ...SWR, vary: { headers: ['x-keyed'] } },
      answer: (run, request, reply) => {
        seen.push(look(request))
        reply.header('vary', 'x-nominated')
        return `run ${run}`
      },
    })
    const headers = {
      host: 'shop.example:8080',
      'x-keyed': 'k',
      'x-nominated': 'n',
      'x-other': 'o',
      'user-agent': 'ua',
      'x-forwarded-host': 'front.example',
      'x-forwarded-proto': 'https',
      'x-forwarded-for': '192.0.2.1',
      'if-none-match': '"a"',
      range: 'bytes=0-1',
    }
    const ask = async (): Promise<string> =>
      (await scene.client.get('/before?a=1&b=%2F', headers)).text
    await ask()
    scene.pass(11)
    assert.equal(await ask(), 'run 1')
    await eventually('the refresh is done', async () => (await ask()) === 'run 2')
    const [first, background, ...more] = seen
    assert.equal(more.length, 0)
    assert.equal(first!.refresh, false)
    const { headers: sent, rawHeaders, ...rest } = background!
    assert.deepEqual(rest, {
      url: '/x?a=1&b=%2F',
      host: 'front.example',
      protocol: 'https',
      ip: '192.0.2.1',
      refresh: true,
    })
    assert.deepEqual(Object.keys(sent).sort(), [
      'host',
      ...['x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto', 'x-keyed', 'x-nominated'],
    ])
    assert.equal(sent['x-keyed'], 'k')
    assert.equal(sent.host, 'shop.example:8080')
    assert.equal(rawHeaders.length, 2 * Object.keys(sent).length)
  },
)

test('what a request keeps in AsyncLocalStorage does not reach the background run', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const seen: unknown[] = []
  const scene = await startScene(t, {
    route: SWR,
    build: (app) => {
      app.addHook('onRequest', (request, _reply, done) => {
        const who = request.headers['x-who']
        if (typeof who === 'string') storage.run(who, done)
        else done()
      })
    },
    answer: (run) => {
      seen.push(storage.getStore())
      return `run ${run}`
    },
  })
  await scene.get({ 'x-who': 'ann' })
  scene.pass(11)
  assert.equal((await scene.get({ 'x-who': 'bob' })).text, 'run 1')
  await scene.refreshed('run 2')
  assert.deepEqual(seen, ['ann', undefined])
})

test('hooks run for the background request, and can tell it from a client that claims to be one', async (t) => {
  const seen: boolean[] = []
  const scene = await startScene(t, {
    route: SWR,
    build: (app) => {
      app.addHook('onRequest', async (request) => void seen.push(isRefresh(request)))
    },
  })
  await scene.get()
  scene.pass(11)
  const claims = { 'x-refresh': '1', purpose: 'prefetch', 'x-fastify-response-cache': 'refresh' }
  await scene.get(claims)
  await eventually('the background request has come', () => seen.length === 3)
  assert.deepEqual(seen, [false, false, true])
})

test('each variant is refreshed on its own', async (t) => {
  const scene = await startScene(t, {
    route: SWR,
    answer: (run, { headers }, reply) => {
      reply.header('vary', 'accept-language')
      return `run ${run} ${String(headers['accept-language'])}`
    },
  })
  const ask = async (language: string): Promise<string> =>
    (await scene.get({ 'accept-language': language })).text
  assert.equal(await ask('en'), 'run 1 en')
  assert.equal(await ask('de'), 'run 2 de')
  scene.pass(11)
  assert.equal(await ask('de'), 'run 2 de')
  await eventually('the second is refreshed', async () => (await ask('de')) === 'run 3 de')
  assert.equal(await ask('en'), 'run 1 en')
  await eventually('the first is refreshed', async () => (await ask('en')) === 'run 4 en')
})
