import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, {
  type ResponseCacheOptions,
  type RouteCacheOptions,
} from '../../src/index.ts'

/** What an application logs until it is ready. */
async function warningsOf(
  declare: (app: FastifyInstance) => unknown,
  cache: ResponseCacheOptions = {},
): Promise<string[]> {
  const lines: string[] = []
  const stream = { write: (line: string) => void lines.push(line) }
  const app = Fastify({ logger: { level: 'warn', stream } })
  await app.register(responseCache, { defaults: { ttl: '1m' }, ...cache })
  await declare(app)
  await app.ready()
  await app.close()
  return lines.map((line) => (JSON.parse(line) as { msg: string }).msg)
}

function one(own: RouteCacheOptions): (app: FastifyInstance) => void {
  return (app) => void app.get('/a', { config: { cache: own } }, async () => 'a')
}

describe('warnings at start', () => {
  it('names routes that can never be a hit, once each, with the fix', async () => {
    const cases: [RouteCacheOptions, RegExp][] = [
      [
        { vary: { headers: ['X-Request-Id'] } },
        /^\/a: vary\.headers has 'x-request-id'.*ever a hit/,
      ],
      [{ vary: { headers: ['accept-langauge'] } }, /did you mean 'accept-language'\?/],
      [{ vary: { headers: ['Acept-Encoding'] } }, /did you mean 'accept-encoding'\?/],
      [{ maxBytes: 1e9 }, /^\/a: maxBytes is 1000000000.*memory\.maxEntryBytes/],
    ]
    for (const [own, expected] of cases) {
      const warnings = await warningsOf(one(own))
      assert.equal(warnings.length, 1, `${warnings.join('\n')} for ${JSON.stringify(own)}`)
      assert.match(warnings[0]!, expected)
    }
  })

  it('tells of HEAD routes that nothing is stored for', async () => {
    const head = { method: 'HEAD', url: '/h', handler: async () => '' } as const
    const alone = await warningsOf((app) => app.route({ ...head, config: { cache: true } }))
    assert.match(alone.join(), /^\/h: only HEAD is cached/)
    const both = await warningsOf((app) => {
      app.route({ ...head, config: { cache: true } })
      app.get('/h', { config: { cache: true }, exposeHeadRoute: false }, async () => 'a')
    })
    assert.deepEqual(both, [])
  })

  it('says nothing of options that work, nor of fields that applications make up', async () => {
    const own: RouteCacheOptions[] = [
      { ttl: () => 5, vary: { headers: ['x-shop', 'accept', 'x-tenants', 'Cookie'] } },
      { ttl: 'headers', vary: { headers: ['authorization', 'x-geo-country', 'te'] } },
      { maxBytes: 1024 },
    ]
    const warnings = await warningsOf((app) => {
      for (const [at, cache] of own.entries()) {
        app.get(`/${at}`, { config: { cache } }, async () => 'a')
      }
    })
    assert.deepEqual(warnings, [])
  })
})
