import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import { deserialize, serialize } from 'node:v8'
import { Packr, pack, unpack } from 'msgpackr'
import type { Redis } from 'ioredis'

import type { CacheClient, Serializer } from '../../src/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openClient } from './apps.ts'

const INVALID = 'FST_RESPONSE_CACHE_INVALID_ARGUMENT'
/** Each process has its own. */
const messagePack = (): Serializer => new Packr({ moreTypes: true })
const RICH = {
  at: new Date(5),
  bytes: Buffer.from([1, 2, 3]),
  byId: new Map([[1, { name: 'Ada' }]]),
  big: 2n ** 60n,
  none: null,
}

describe('codecs of namespaces', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())
  beforeEach(() => raw.flushall())
  const open = (t: Parameters<typeof openClient>[0], memory = true): Promise<CacheClient> =>
    openClient(t, { redis: server.url, namespace: 'shop', ...(!memory && { memory: false }) })

  const serializers: [name: string, serializer: () => Serializer][] = [
    ['msgpackr', messagePack],
    ["V8's own", () => ({ encode: serialize, decode: deserialize })],
  ]
  for (const [name, serializer] of serializers) {
    it(`carry with ${name} what JSON cannot, from memory, from Redis and on the first call`, async (t) => {
      const [one, two] = [await open(t), await open(t, false)]
      const [first, second] = [one, two].map((cache) =>
        cache.namespace('rich', { serializer: serializer(), version: 2 }),
      )
      assert.equal(await first!.set('a', RICH), true)
      for (const place of [first!, second!]) {
        const read = await place.get<typeof RICH>('a')
        assert.deepEqual({ ...read, bytes: Buffer.from(read!.bytes) }, RICH)
      }
      const made = await first!.getOrSet('b', () => new Map([['x', new Set([1])]]))
      assert.deepEqual(made, new Map([['x', new Set([1])]]))
      assert.deepEqual(await first!.get('b'), made)
      for (const value of [undefined, null, 0, '']) {
        await first!.set('odd', value)
        assert.deepEqual([await second!.get('odd'), await second!.has('odd')], [value, true])
      }
    })
  }

  it('give each caller bytes of its own', async (t) => {
    const space = (await open(t)).namespace('bytes', { serializer: messagePack() })
    await space.set('a', { bytes: Buffer.from('abc') })
    const { bytes } = (await space.get<{ bytes: Buffer }>('a'))!
    bytes.fill(0)
    assert.equal((await space.get<{ bytes: Buffer }>('a'))!.bytes.toString(), 'abc')
  })

  it('may write text', async (t) => {
    const escaped = {
      encode: (value: unknown) => encodeURIComponent(JSON.stringify(value)),
      decode: (text: string) => JSON.parse(decodeURIComponent(text)) as unknown,
    }
    const space = (await open(t)).namespace('text', { serializer: escaped })
    await space.set('a', { b: 1 })
    assert.deepEqual(await space.get('a'), { b: 1 })
    assert.match((await raw.get('shop#n:text:a'))!, /%7B%22b%22%3A1%7D$/)
  })

  it('make what they cannot read a miss, which is counted, and made anew', async (t) => {
    const cache = await open(t)
    const writer = cache.namespace('same', { serializer: messagePack() })
    const reader = cache.namespace('same')
    await writer.setMany(Object.entries({ a: RICH, b: RICH }))
    assert.equal(await reader.get('a'), undefined)
    assert.equal((await reader.getMany(['a', 'b'])).size, 0)
    assert.equal(cache.stats().failures['decode'], 3)
    assert.deepEqual(reader.stats(), { hits: 0, misses: 3, sets: 2 })
    assert.equal(await reader.getOrSet('a', () => 'anew'), 'anew')
    assert.equal(await reader.get('a'), 'anew')
  })

  it('say what they refuse, and leave what was there', async (t) => {
    const cache = await open(t)
    const refusing = (encode: (value: unknown) => unknown): Promise<unknown> =>
      cache
        .namespace('refusing', { serializer: { encode, decode: unpack } as Serializer })
        .set('a', 1)
    await cache.namespace('refusing').set('a', 'before')
    const throwing = refusing(() => {
      throw new Error('not this')
    })
    await assert.rejects(throwing, { code: INVALID, message: /'a' is refused by .*: not this/ })
    for (const result of [undefined, 5, Promise.resolve('x'), {}]) {
      await assert.rejects(
        refusing(() => result),
        /'a': the serializer's encode must return text/,
      )
    }
    assert.equal(await cache.namespace('refusing').get('a'), 'before')
    const blind = cache.namespace('blind', {
      serializer: {
        encode: () => 'x',
        decode: () => {
          throw new Error('cannot')
        },
      },
    })
    await assert.rejects(
      blind.getOrSet('a', () => 1),
      /cannot decode what it has encoded/,
    )
  })

  it('of JSON name the place of what it would change, unless that is accepted', async (t) => {
    const cache = await open(t)
    const value = { users: [{ at: new Date(0), id: undefined }] }
    await assert.rejects(cache.set('a', value), {
      code: INVALID,
      message:
        "the value of 'a' is not JSON: value.users[0].at is a Date; make it text or numbers, use a " +
        "namespace with a 'serializer', or accept what JSON makes of it with lossy: true",
    })
    await assert.rejects(
      cache.getOrSet('a', () => value),
      /value\.users\[0\]\.at is a Date/,
    )
    assert.equal(await cache.set('a', value, { lossy: true }), true)
    assert.deepEqual(await cache.get('a'), { users: [{ at: '1970-01-01T00:00:00.000Z' }] })
    const lossy = cache.namespace('lossy', { lossy: true })
    const read = lossy.wrap('read', () => value)
    assert.deepEqual(await read(), { users: [{ at: '1970-01-01T00:00:00.000Z' }] })
    await assert.rejects(cache.set('a', 5n, { lossy: true }), /not JSON: .*BigInt/)
    await assert.rejects(
      cache.set('a', () => 1, { lossy: true }),
      /not JSON: it is a function/,
    )
  })

  const wrong: [what: string, name: unknown, options: object, message: RegExp][] = [
    ['no name', '', {}, /the name of namespace '' must be/],
    ['a name with other signs', 'a/b', {}, /the name of namespace 'a\/b' must be 1 to 64/],
    ['a number as a name', 5, {}, /the name of namespace '5'/],
    ['an empty version', 'a', { version: '' }, /namespace 'a': version must be/],
    ['a ttl of nothing', 'a', { ttl: 0 }, /the ttl of namespace 'a' must be/],
    ['half a serializer', 'a', { serializer: { encode: pack } }, /serializer must be an object/],
    ['a text as leniency', 'a', { lossy: 'yes' }, /namespace 'a': lossy must be true or false/],
    ['an unknown option', 'a', { tll: 1 }, /namespace 'a': 'tll' is not an option; known are ttl/],
  ]
  for (const [what, name, options, message] of wrong) {
    it(`are not made for a namespace with ${what}`, async (t) => {
      const cache = await openClient(t)
      assert.throws(() => cache.namespace(name as string, options), { code: INVALID, message })
    })
  }

  it('are not made for namespaces in namespaces without end', async (t) => {
    const cache = await openClient(t)
    const nest = (depth: number): unknown => {
      let space = cache.namespace('a')
      for (let n = 1; n < depth; n++) space = space.namespace('a')
      return space
    }
    assert.ok(nest(8))
    assert.throws(() => nest(9), /namespace 'a' is nested too deeply; 8 is the most/)
  })
})
