// Plugins that turn requests away: by count, by load, by health. A warm cache is no way around them,
// and what they say to one client is never kept for another.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import rateLimit from '@fastify/rate-limit'
import underPressure from '@fastify/under-pressure'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import { type Answer, startBoth } from '../support/app.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import {
  type Fields,
  type Neighbour,
  ORDERS,
  type Order,
  compare,
  course,
  essenceOf,
} from './course.ts'

/** Seconds until a window ends are those of the moment. */
function withoutSeconds(answer: Answer): unknown {
  const { headers, body, ...rest } = essenceOf(answer)
  const lasting: Record<string, unknown> = { ...headers }
  for (const name of ['x-ratelimit-reset', 'ratelimit-reset', 'retry-after']) {
    if (name in lasting) lasting[name] = 'soon'
  }
  return { ...rest, headers: lasting, body: body.replace(/retry in \d+ \w+/, 'retry soon') }
}

function declarePage(app: FastifyInstance): void {
  app.get('/page', { config: { cache: { public: true } } }, async () => 'page')
}

const limits: [string, Parameters<typeof rateLimit>[1]][] = [
  ['by address', { max: 12, timeWindow: '1 hour' }],
  ['with fields of the draft', { max: 12, timeWindow: '1 hour', enableDraftSpec: true }],
  [
    'by key',
    {
      max: 5,
      timeWindow: '1 hour',
      keyGenerator: ({ headers }: FastifyRequest) => String(headers['x-key']),
      allowList: ['friend'],
    },
  ],
  ['in preHandler', { max: 12, timeWindow: '1 hour', hook: 'preHandler' }],
  ['that bans', { max: 6, timeWindow: '1 hour', ban: 2 }],
]

for (const [title, options] of limits) {
  for (const order of ORDERS) {
    test(`a rate limit ${title} ${order} counts and refuses GET, HEAD and conditions, hit or miss`, async (t) => {
      const people: Fields[] = [{ 'x-key': 'a' }, { 'x-key': 'b' }, { 'x-key': 'friend' }]
      const limited: Neighbour = {
        name: '@fastify/rate-limit',
        register: (app) => app.register(rateLimit, options),
        declare: declarePage,
        visits: () => people.flatMap((fields) => course('/page', fields)),
        essence: withoutSeconds,
      }
      const answered = await compare(t, limited, order, true)
      const statuses = new Set(answered.map(({ expected }) => expected.status))
      assert.ok(statuses.has(200) && statuses.has(304))
      assert.ok(statuses.has(429) || statuses.has(403))
      const refused = answered.filter(({ expected }) => expected.status >= 400)
      assert.ok(refused.every(({ told }) => told === undefined))
      assert.ok(answered.some(({ told }) => told?.hit === true))
    })
  }
}

async function startHealth(
  t: Parameters<typeof startBoth>[0],
  order: Order,
  options: (healthy: () => boolean) => Parameters<typeof underPressure>[1],
): Promise<{
  ask: (path: string, method?: string) => Promise<Answer>
  /** Makes the application healthy or not, and waits until it is known. */
  turn: (healthy: boolean, status?: number) => Promise<void>
}> {
  let isHealthy = true
  const register = async (app: FastifyInstance): Promise<void> => {
    await app.register(
      underPressure,
      options(() => isHealthy),
    )
  }
  const { cached, plain } = await startBoth(
    t,
    async (app) => {
      if (order === 'in a scope of its own') {
        await app.register(async (scope) => {
          await register(scope)
          declarePage(scope)
        })
        return
      }
      if (order === 'after the cache') await register(app)
      declarePage(app)
    },
    {
      ...(order === 'before the cache' ? { before: register } : {}),
      cache: { global: true },
    },
  )
  return {
    ask: async (path, method = 'GET') => {
      const [answer, expected] = [await cached.send(method, path), await plain.send(method, path)]
      assert.deepEqual(essenceOf(answer), essenceOf(expected), `${method} ${path}`)
      return answer
    },
    turn: async (healthy, status) => {
      isHealthy = healthy
      if (status === undefined) return
      for (const client of [cached, plain]) {
        const isKnown = async (): Promise<boolean> => (await client.get('/page')).status === status
        await eventually(`a ${status}`, isKnown)
      }
    },
  }
}

for (const order of ORDERS) {
  test(`@fastify/under-pressure ${order} refuses on a warm cache, and the page is there afterwards`, async (t) => {
    const { ask, turn } = await startHealth(t, order, (healthy) => ({
      // Whatever the load is, this is more than is allowed while the test says so.
      maxRssBytes: 1,
      sampleInterval: 1,
      pressureHandler: (_request: FastifyRequest, reply: FastifyReply) => {
        if (!healthy()) void reply.code(503).header('retry-after', '7').send('too busy')
      },
    }))
    assertStored(await ask('/page'))
    assertHit(await ask('/page'))
    // The first sample is a moment away.
    await turn(false, 503)
    for (const method of ['GET', 'HEAD', 'GET']) {
      const answer = await ask('/page', method)
      assert.equal(answer.status, 503)
      assert.equal(answer.headers['cache-status'], undefined)
    }
    await turn(true)
    assertHit(await ask('/page'))
    assertHit(await ask('/page', 'HEAD'))
  })

  test(`a failed health check of @fastify/under-pressure ${order} is a 503 on a warm cache`, async (t) => {
    const { ask, turn } = await startHealth(t, order, (healthy) => ({
      healthCheck: async () => healthy(),
      healthCheckInterval: 5,
    }))
    assertStored(await ask('/page'))
    assertHit(await ask('/page'))
    await turn(false, 503)
    for (const method of ['GET', 'HEAD', 'GET']) {
      assert.equal((await ask('/page', method)).status, 503)
    }
    await turn(true, 200)
    assertHit(await ask('/page'))
  })

  test(`a status route ${order} that is kept out of a global cache tells the health of now`, async (t) => {
    const { ask, turn } = await startHealth(t, order, (healthy) => ({
      healthCheck: async () => healthy(),
      exposeStatusRoute: { url: '/health', routeOpts: { config: { cache: false } } as never },
    }))
    for (const status of [200, 503, 200]) {
      await turn(status === 200)
      for (const method of ['GET', 'HEAD', 'GET']) {
        const answer = await ask('/health', method)
        assert.deepEqual([answer.status, answer.headers['cache-status']], [status, undefined])
      }
    }
  })
}
