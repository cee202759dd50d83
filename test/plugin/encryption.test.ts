// Responses in Redis that only holders of the keys can read.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { type TestContext, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { InvalidOptionError, type ResponseCacheOptions } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { dump } from '../support/dump.ts'
import { overRedis, sharedRedis } from '../support/tiers.ts'

const OLD = { id: 'old', secret: randomBytes(32) }
const NEW = { id: 'new', secret: randomBytes(32).toString('base64') }

async function openShop(t: TestContext, options: ResponseCacheOptions): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, { defaults: { ttl: '1h' }, ...options })
  let runs = 0
  app.get<{ Params: { id: string } }>(
    '/ROUTEMARK/:id',
    {
      config: {
        cache: {
          tags: ({ params }) => [`TAGMARK:${(params as { id: string }).id}`],
          vary: { headers: ['accept-language'] },
          coalesce: { fleet: true },
        },
      },
    },
    (request, reply) =>
      reply
        .header('x-secret', 'HEADERMARK')
        .send({ text: 'BODYMARK', id: request.params.id, run: ++runs }),
  )
  app.get('/vary', { config: { cache: true } }, (_request, reply) =>
    reply.header('vary', 'x-varymark').send(`BODYMARK ${++runs}`),
  )
  app.put('/ROUTEMARK/:id', { config: { cache: { invalidates: ['TAGMARK:1'] } } }, () => 'ok')
  await app.ready()
  await eventually('the log is loaded', () => app.cache.stats().log.verified)
  return app
}

const get = async (app: FastifyInstance, url: string): Promise<[tier: string, body: string]> => {
  const { headers, body } = await app.inject({
    url,
    headers: { 'accept-language': 'LANGUAGEMARK' },
  })
  const status = String(headers['cache-status'])
  return [/; hit/.test(status) ? 'hit' : 'miss', body]
}

test('a database of encrypted responses says nothing of body, URL, query, tag, route or header', async (t) => {
  const options = await overRedis({ memory: false, encryption: { keys: [NEW, OLD] } })
  const app = await openShop(t, options)
  const url = '/ROUTEMARK/1?QUERYMARK=QUERYVALUEMARK'
  const [first, body] = await get(app, url)
  assert.equal(first, 'miss')
  await eventually('stored', async () => (await get(app, url))[0] === 'hit')
  assert.deepEqual(await get(app, url), ['hit', body])
  await get(app, '/vary')
  await eventually('stored', async () => (await get(app, '/vary'))[0] === 'hit')
  await app.cache.invalidateUrl('/ROUTEMARK/2?QUERYMARK=1')
  await app.cache.invalidateRoute('/ROUTEMARK/:id', { mode: 'soft' })
  assert.equal((await app.inject({ method: 'PUT', url: '/ROUTEMARK/1' })).statusCode, 200)
  const all = await dump((await sharedRedis()).client(), `*${options.namespace}*`)
  assert.match(all, /#e~/)
  assert.match(all, /FRS1/)
  assert.equal(all.match(/[A-Z]+MARK|varymark/g), null)
  assert.deepEqual(app.cache.stats().failures, {})
})

test('responses stay while keys rotate in two processes, and invalidations reach both', async (t) => {
  const options = await overRedis()
  const one = await openShop(t, { ...options, encryption: { keys: [OLD] } })
  const url = '/ROUTEMARK/1'
  const [, body] = await get(one, url)
  const two = await openShop(t, { ...options, encryption: { keys: [NEW, OLD] } })
  await eventually('stored', async () => (await get(two, url))[0] === 'hit')
  assert.deepEqual(await get(two, url), ['hit', body])
  await two.inject({ method: 'PUT', url })
  await eventually(
    'forgotten by the one with the old key',
    async () => (await get(one, url))[1] !== body,
  )
  const [, again] = await get(one, url)
  await eventually('as stored by it', async () => (await get(two, url))[1] === again)
  await one.inject({ method: 'PUT', url })
  await eventually('forgotten by the one with both', async () => (await get(two, url))[1] !== again)

  // The old key is taken away: what it named is not found any more.
  await one.close()
  const three = await openShop(t, { ...options, encryption: { keys: [NEW] } })
  assert.equal((await get(three, url))[0], 'miss')
  const [, young] = await get(three, url)
  await two.inject({ method: 'PUT', url })
  await eventually('forgotten by the one with the new key', async () => {
    return (await get(three, url))[1] !== young
  })
})

test('an invalidation that Redis does not confirm says so with encryption, too', async (t) => {
  const options = await overRedis({ deadlineMs: 100, encryption: { keys: [NEW] } })
  const app = await openShop(t, options)
  app.cache.redis!.disconnect()
  await assert.rejects(app.cache.invalidateTags(['a']), {
    code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING',
  })
})

test('a wrong key is refused at registration; its message has the command and not the secret', async () => {
  const encryption = { keys: [{ id: 'k1', secret: 'my secret' }] }
  await assert.rejects(
    async () => Fastify().register(responseCache, { encryption }),
    (error: Error) => {
      assert.ok(error instanceof InvalidOptionError)
      assert.match(error.message, /fastify-response-cache\.encryption\.keys\[0\]\.secret must be/)
      assert.match(error.message, /randomBytes\(32\)\.toString\('base64'\)/)
      assert.ok(!error.message.includes('my secret'))
      return true
    },
  )
})

test('encryption: false, and keys without Redis, change nothing', async (t) => {
  for (const encryption of [false, { keys: [NEW] }] as const) {
    const app = await openShop(t, { encryption })
    await get(app, '/vary')
    assert.equal((await get(app, '/vary'))[0], 'hit')
  }
})
