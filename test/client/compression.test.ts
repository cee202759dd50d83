// Values and responses that are compressed in Redis.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import Fastify from 'fastify'

import responseCache, { InvalidOptionError } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { overRedis, sharedRedis } from '../support/tiers.ts'
import { openClient } from './apps.ts'
import { keysOf } from './contract-values.ts'

const LONG = { text: 'said again and again, '.repeat(1000) }

test('values are compressed in Redis and whole in memory; lists and longer lives are as ever', async (t) => {
  const options = await overRedis({ compression: true })
  const redis = (await sharedRedis()).client()
  const [here, there] = [await openClient(t, options), await openClient(t, options)]
  await here.set('long', LONG, { ttl: 60 })
  await here.set('short', 1)
  assert.ok((await redis.strlen(`${options.namespace}#d:long`)) < 2000)
  assert.ok(here.stats().memory!.bytes > 20_000)
  assert.deepEqual(await there.get('long'), LONG)
  assert.deepEqual(await keysOf(there), ['long', 'short'])
  assert.equal(await there.touch('long', 3600), true)
  assert.ok((await redis.strlen(`${options.namespace}#d:long`)) < 2000)
  assert.deepEqual(await here.inspect('long').then((all) => all.map(({ bytes }) => bytes)), [
    JSON.stringify(LONG).length,
    JSON.stringify(LONG).length,
  ])
  assert.deepEqual(here.stats().failures, {})
})

test('a namespace says for itself whether, and those in it do as it does', async (t) => {
  const options = await overRedis()
  const redis = (await sharedRedis()).client()
  const cache = await openClient(t, options)
  const on = cache.namespace('on', { compression: { algorithm: 'gzip', minBytes: 100 } })
  const off = on.namespace('off', { compression: false })
  const bytes: number[] = []
  for (const [each, name] of [
    [cache, 'd'],
    [on, 'n:on'],
    [on.namespace('in'), 'n:on/in'],
    [off, 'n:on/off'],
  ] as const) {
    await each.set('a', LONG)
    assert.deepEqual(await each.get('a'), LONG)
    bytes.push(await redis.strlen(`${options.namespace}#${name}:a`))
  }
  assert.deepEqual(
    bytes.map((length) => length < 2000),
    [false, true, true, false],
  )
  assert.throws(
    () => cache.namespace('odd', { compression: { minBytes: -1 } }),
    /namespace 'odd': compression\.minBytes must be a whole number/,
  )
})

test('responses are compressed, encrypted ones before that, and are the same on a hit', async (t) => {
  const secret = 'jT0x8Sk3W2aVh1mYq5nB7cR9eU4iO6pL'
  for (const encryption of [false, { keys: [{ id: 'k1', secret }] }] as const) {
    const options = await overRedis({ memory: false, compression: true, encryption })
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, options)
    const cache = { ttl: 60 }
    app.get('/json', { config: { cache } }, () => LONG)
    app.get('/bytes', { config: { cache } }, () => Buffer.alloc(30_000, 7))
    app.get('/png', { config: { cache } }, (_request, reply) =>
      reply.type('image/png').send(Buffer.alloc(30_000, 7)),
    )
    await app.ready()
    await eventually('the log is loaded', () => app.cache.stats().log.verified)
    for (const url of ['/json', '/bytes', '/png']) {
      const miss = await app.inject(url)
      await eventually('stored', async () => {
        return / hit;/.test(String((await app.inject(url)).headers['cache-status']))
      })
      const hit = await app.inject(url)
      assert.deepEqual(hit.rawPayload, miss.rawPayload)
      assert.equal(hit.headers['content-type'], miss.headers['content-type'])
      assert.equal(hit.headers['content-encoding'], miss.headers['content-encoding'])
    }
    const redis = (await sharedRedis()).client()
    const names = await redis.keys(`${options.namespace}#[re]*`)
    const sizes = await Promise.all(names.map((name) => redis.strlen(name)))
    assert.deepEqual(
      sizes.sort((a, b) => a - b).map((bytes) => bytes < 2000),
      [true, true, false],
    )
    assert.deepEqual(app.cache.stats().failures, {})
  }
})

test('an option that is wrong is an error at registration', async () => {
  await assert.rejects(
    async () => Fastify().register(responseCache, { compression: { algorithm: 'lz4' as 'br' } }),
    (error: Error) => {
      assert.ok(error instanceof InvalidOptionError)
      assert.match(
        error.message,
        /fastify-response-cache\.compression\.algorithm must be .*'br' or 'gzip'/,
      )
      return true
    },
  )
})
