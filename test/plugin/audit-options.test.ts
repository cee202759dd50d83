import assert from 'node:assert/strict'
import { describe, it, test } from 'node:test'

import Fastify, { type FastifyInstance, type RouteOptions } from 'fastify'
import * as prometheus from 'prom-client'

import { loopWatcher } from '../../src/audit.ts'
import responseCache, {
  type AuditOptions,
  type ExplainedPolicy,
  type RouteCacheOptions,
} from '../../src/index.ts'
import { registerMetrics } from '../../src/metrics.ts'
import { eventually } from '../support/clock.ts'
import { startShop } from './audit.ts'

const WRONG: Record<string, [audit: unknown, complaint: RegExp]> = {
  'a number': [0.5, /\.audit must be true, false or an object of options, got 0\.5/],
  'an unknown name': [{ samples: 1 }, /\.audit\.samples is not an option; did you mean 'sample'\?/],
  'no sample': [{ sample: 0 }, /\.audit\.sample must be a number above 0 and at most 1, got 0/],
  'a text': [{ sample: '1' }, /\.audit\.sample must be a number .*, got '1'/],
  'too many': [{ maxPerSecond: 1001 }, /\.audit\.maxPerSecond must be .* at most 1000, got 1001/],
  'no time': [{ recheckMs: -1 }, /\.audit\.recheckMs must be a whole number of at least 0/],
  'no header': [
    { ignore: { headers: ['a b'] } },
    /\.ignore\.headers must be a list of header names/,
  ],
  'no pointer': [
    { ignore: { pointers: ['at'] } },
    /\.ignore\.pointers must be a list of JSON point/,
  ],
  'a wrong escape': [
    { ignore: { pointers: ['/a~2'] } },
    /\.ignore\.pointers must be a list of JSON/,
  ],
}

describe('the option audit is refused', () => {
  for (const [title, [audit, complaint]] of Object.entries(WRONG)) {
    it(title, async () => {
      const app = Fastify()
      const options = { audit: audit as AuditOptions }
      await assert.rejects(async () => app.register(responseCache, options), complaint)
    })
  }

  it('on a route that says neither true nor false', async () => {
    const app = Fastify()
    await app.register(responseCache, {})
    const cache = { ttl: 1, audit: 'no' as unknown as boolean }
    assert.throws(
      () => app.get('/a', { config: { cache } }, async () => 'a'),
      /GET \/a: config\.cache\.audit must be true or false, got 'no'/,
    )
  })
})

// Regression: names were checked before they were put into lower case.
test('audit.ignore.headers takes names as they are usually written', async () => {
  const app = Fastify()
  await app.register(responseCache, { audit: { ignore: { headers: ['X-Build'] } } })
  await app.close()
})

function spin(milliseconds: number): void {
  const end = performance.now() + milliseconds
  while (performance.now() < end);
}

/** The routes as they are after the cache has seen them. */
async function routesWith(audit: boolean | undefined): Promise<Map<string, RouteOptions>> {
  const app = Fastify()
  await app.register(responseCache, {
    defaults: { ttl: 60 },
    ...(audit !== undefined && { audit }),
  })
  const routes = new Map<string, RouteOptions>()
  app.addHook('onRoute', (route) => {
    routes.set(`${String(route.method)} ${route.url}`, route)
  })
  app.get('/a', { config: { cache: true } }, async () => 'a')
  app.post('/a', async () => 'a')
  app.put('/b', { config: { cache: false } }, async () => 'b')
  await app.ready()
  await app.close()
  return routes
}

const hookCounts = (route: RouteOptions | undefined): number[] =>
  [route?.onRequest, route?.preHandler, route?.preSerialization, route?.onSend, route?.onError].map(
    (hooks) => [hooks ?? []].flat().length,
  )

test('off, it adds no hook, and says nothing of itself; on, only writes have one more', async () => {
  const [off, none, on] = [
    await routesWith(false),
    await routesWith(undefined),
    await routesWith(true),
  ]
  for (const name of ['GET /a', 'HEAD /a', 'POST /a', 'PUT /b']) {
    assert.deepEqual(hookCounts(none.get(name)), hookCounts(off.get(name)), name)
    assert.deepEqual(off.get(name)?.preHandler, undefined, name)
    const isWrite = name.startsWith('P')
    assert.equal([on.get(name)?.preHandler ?? []].flat().length, Number(isWrite), name)
  }
  assert.deepEqual(hookCounts(on.get('GET /a')), hookCounts(off.get('GET /a')))
})

test('without the option stats() has no audit, and metrics no samples of it', async (t) => {
  const shop = await startShop(t, { audit: false })
  await shop.client.get('/products/1')
  await shop.client.get('/products/1')
  assert.equal(shop.app.cache.stats().audit, undefined)
  assert.deepEqual(await audits(shop.app), {})
})

test('explain() tells how a route is audited, or that it is not', async (t) => {
  const build = (app: FastifyInstance): void => {
    const routes: Record<string, RouteCacheOptions> = {
      ...{ '/checked': {}, '/left-out': { audit: false } },
      ...{ '/own': { vary: { by: () => 'a' } }, '/cookies': { vary: { cookies: ['a'] } } },
    }
    for (const [path, options] of Object.entries(routes)) {
      app.get(path, { config: { cache: options } }, async () => 'a')
    }
  }
  const ignore = { headers: ['X-Build'], pointers: ['/items/*/a~1b', '/c~0d'] }
  const cache = { defaults: { ttl: 60 } }
  const shop = await startShop(t, { build, cache, audit: { sample: 0.05, ignore } })
  const told = async (url: string): Promise<ExplainedPolicy['audit'] | undefined> =>
    (await shop.app.cache.explain({ url })).policy?.audit
  assert.deepEqual(await told('/checked'), {
    ...{ sample: 0.05, maxPerSecond: 1, recheckMs: 1000 },
    ignore: { ...ignore, headers: ['x-build'] },
  })
  for (const path of ['/left-out', '/own', '/cookies']) assert.equal(await told(path), false, path)
  const { text } = await shop.app.cache.explain({ url: '/checked' })
  assert.match(text, /^ {2}ttl 60; eventual; audit sample 0\.05$/m)

  const off = await startShop(t, { build, cache, audit: false })
  const { policy, text: without } = await off.app.cache.explain({ url: '/checked' })
  assert.equal(policy?.audit, false)
  assert.doesNotMatch(without, /audit/)
})

test('metrics count audits by their result', async (t) => {
  const shop = await startShop(t)
  await shop.until('some are compared', ({ same }) => same > 1)
  await shop.write('/stock/1')
  await shop.until('one is found', ({ different }) => different > 0)
  await eventually('what is under way is over', async () => {
    const { same, different, failed, skipped } = shop.audit
    const sum = Object.values(skipped).reduce((total, count) => total + count, 0)
    const expected = { same, different, failed, skipped: sum }
    return JSON.stringify(await audits(shop.app)) === JSON.stringify(expected)
  })
})

async function audits(app: FastifyInstance): Promise<Record<string, number>> {
  const registry = new prometheus.Registry()
  const end = registerMetrics(prometheus, { caches: app.cache, registry })
  const metrics = await registry.getMetricsAsJSON()
  end()
  const family = metrics.find(({ name }) => name.endsWith('_audits_total'))!
  return Object.fromEntries(family.values.map(({ labels, value }) => [labels['result'], value]))
}

test('a process that is busy drops audits', async (t) => {
  const shop = await startShop(t)
  await shop.until('one is dropped', ({ skipped }) => {
    spin(200)
    return (skipped.busy ?? 0) > 0
  })
  await shop.until('it is idle again', ({ same }) => same > 1)
})

test('an event loop that is never idle is busy, and one that waits is not', async () => {
  const isBusy = loopWatcher()
  assert.equal(isBusy(), false)
  await eventually('it is busy', () => {
    spin(200)
    return isBusy()
  })
  await eventually('it is not any more', () => !isBusy())
})
