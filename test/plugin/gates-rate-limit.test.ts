// A hit is a request like any other to a rate limit: it is counted, it is told, and it is refused.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import rateLimit from '@fastify/rate-limit'
import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Answer, listen, start } from '../support/app.ts'
import { HOOKS, type HookName, addGuard } from './gates.ts'

const MAX = 3
const VISITS = 6
const LEVELS = ['every route', 'this route', 'the instance'] as const
const FIELDS = ['x-ratelimit-limit', 'x-ratelimit-remaining', 'x-ratelimit-reset', 'retry-after']

interface Arrangement {
  hook: HookName
  level: (typeof LEVELS)[number]
  cacheFirst: boolean
  inChild: boolean
}

async function limit(app: FastifyInstance, { hook, level }: Arrangement): Promise<void> {
  const window = { max: MAX, timeWindow: '1 hour' }
  if (level === 'every route') await app.register(rateLimit, { ...window, hook })
  else await app.register(rateLimit, { global: false, hook })
  if (level === 'the instance') addGuard(app, hook, app.rateLimit(window) as never)
}

async function build(arrangement: Arrangement, withCache: boolean): Promise<FastifyInstance> {
  const app = Fastify()
  const fill = async (scope: FastifyInstance): Promise<void> => {
    if (withCache && arrangement.cacheFirst) await scope.register(responseCache)
    await limit(scope, arrangement)
    if (withCache && !arrangement.cacheFirst) await scope.register(responseCache)
    const own = { rateLimit: { max: MAX, timeWindow: '1 hour', hook: arrangement.hook } }
    const config = { cache: { ttl: '1h' }, ...(arrangement.level === 'this route' ? own : {}) }
    scope.get('/limited', { config }, async () => 'as often as you may')
  }
  if (arrangement.inChild) await app.register(fill)
  else await fill(app)
  return app
}

function essence({ status, text, headers }: Answer): unknown {
  return [
    status,
    status === 429 ? JSON.parse(text).message : text,
    FIELDS.map((name) => headers[name]),
  ]
}

for (const hook of HOOKS) {
  for (const level of LEVELS) {
    test(`a rate limit of ${level} in ${hook} counts hits, and refuses them, as without a cache`, async (t) => {
      for (const cacheFirst of [true, false]) {
        for (const inChild of [true, false]) {
          const arrangement = { hook, level, cacheFirst, inChild }
          const cached = await listen(t, await build(arrangement, true))
          const plain = await listen(t, await build(arrangement, false))
          const answers: Answer[] = []
          const expected: Answer[] = []
          for (let visit = 0; visit < VISITS; visit++) {
            answers.push(await cached.get('/limited'))
            expected.push(await plain.get('/limited'))
          }
          const place = JSON.stringify(arrangement)
          assert.deepEqual(answers.map(essence), expected.map(essence), place)
          assert.deepEqual(
            expected.map(({ status }) => status),
            [200, 200, 200, 429, 429, 429],
            place,
          )
          assertStored(answers[0]!)
          assertHit(answers[1]!)
          assertHit(answers[2]!)
        }
      }
    })
  }
}

test("draft rate limit fields of a hit are this request's, also when the handler repeats them", async (t) => {
  const client = await start(
    t,
    (app) => {
      app.get('/limited', { config: { cache: true } }, async (_request, reply) => {
        // A handler that forwards what an upstream says of its own limit.
        void reply.header('x-ratelimit-remaining', '99').header('ratelimit-reset', '7')
        return 'ok'
      })
    },
    {
      before: (app) => app.register(rateLimit, { max: 10, timeWindow: '1 hour' }),
    },
  )
  const miss = await client.get('/limited')
  assert.equal(miss.headers['x-ratelimit-remaining'], '99')
  const hit = await client.get('/limited')
  assertHit(hit)
  assert.equal(hit.headers['x-ratelimit-remaining'], '8')
  assert.equal(hit.headers['ratelimit-reset'], undefined)
})
