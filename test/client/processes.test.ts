// Processes that tell of themselves, and what others read of it.
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { describe, test, type TestContext } from 'node:test'

import fc from 'fast-check'
import Fastify from 'fastify'
import { Cluster, type Redis } from 'ioredis'

import responseCache, { type CacheClient, type ResponseCacheOptions } from '../../src/index.ts'
import { decodeTold, encodeTold } from '../../src/presence-record.ts'
import { Sealing } from '../../src/sealing.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisPresence, parseTold } from '../../src/store/redis-presence.ts'
import { eventually, inTime } from '../support/clock.ts'
import { startCluster } from '../support/redis-cluster.ts'
import { startRedis } from '../support/redis.ts'
import { overRedis, sharedRedis } from '../support/tiers.ts'
import { TTL, openApp, openClient } from './apps.ts'

const keys = ['a', 'b'].map((id) => ({ id, secret: randomBytes(32) }))

async function named(client: CacheClient): Promise<string[]> {
  return (await client.processes()).map(({ host }) => host)
}

async function openPresence(
  t: TestContext,
  namespace: string,
): Promise<{ client: Redis; presence: RedisPresence }> {
  const client = (await sharedRedis()).client()
  await client.ping()
  const onTrouble = (operation: string, error: Error): void =>
    t.diagnostic(`${operation}: ${error}`)
  const guard = new RedisGuard(client, { deadlineMs: 5000, breaker: false, onTrouble })
  return { client, presence: new RedisPresence(guard, namespace) }
}

/** Each is a process of its own. */
function open(t: TestContext, options: ResponseCacheOptions, name: string): Promise<CacheClient> {
  return openClient(t, { ...options, announce: { name } })
}

async function areSeen(client: CacheClient, ...names: string[]): Promise<void> {
  await eventually(`${names.join()} are seen`, async () => {
    const seen = await named(client)
    return seen.length === names.length && names.every((name) => seen.includes(name))
  })
}

test('a wrong `announce` is an error at registration that names it', async (t) => {
  const wrong: [unknown, RegExp][] = [
    ['yes', /announce must be true, false or \{ name \}, got 'yes'/],
    [null, /announce must be .*got null/],
    [{ nam: 'a' }, /announce\.nam is not an option; did you mean 'name'/],
    [{ name: '' }, /announce\.name must be a text of 1 to 100 characters, got ''/],
    [{ name: 'x'.repeat(101) }, /announce\.name must be/],
    [{ name: '\ud800' }, /announce\.name must be/],
    [{ name: 5 }, /announce\.name must be .*got 5/],
  ]
  for (const [announce, message] of wrong) {
    const code = 'FST_RESPONSE_CACHE_INVALID_OPTION'
    await assert.rejects(openApp(t, { announce: announce as never }), { code, message })
  }
  for (const announce of [undefined, false, true, {}]) await openApp(t, { announce } as object)
})

test('without Redis there is this process', async (t) => {
  const client = await openClient(t, { announce: true })
  await client.invalidateTags(['a'])
  const [own, ...others] = await client.processes()
  assert.deepEqual(others, [])
  assert.match(own!.id, /^[\w-]{12}$/)
  assert.ok(own!.startedAt <= Date.now() && own!.startedAt > Date.now() - 3_600_000)
  assert.deepEqual(
    { ...own, id: '', startedAt: 0 },
    {
      ...{ id: '', host: hostname(), pid: process.pid, self: true, startedAt: 0, toldAgoMs: 0 },
      ...{ seq: 1, behind: 0, sinceVerifiedMs: 0, pendingInvalidations: 0, hitRate: 0 },
      breaker: undefined,
    },
  )
})

test('processes that announce themselves see each other, and one that does not sees them', async (t) => {
  const options = await overRedis()
  const server = await sharedRedis()
  const app = Fastify()
  await app.register(responseCache, { ...options, ...TTL, announce: { name: 'one' } })
  app.get('/a', { config: { cache: true } }, async () => 'a')
  await app.ready()
  for (let n = 0; n < 4; n++) await app.inject('/a')
  const [one, other] = [app.cache, await open(t, options, 'other')]
  const quiet = await openClient(t, options)
  await areSeen(one, 'one', 'other')
  await areSeen(quiet, hostname(), 'one', 'other')
  const states = await other.processes()
  assert.deepEqual(
    states.map(({ host, self }) => [host, self]),
    [
      ['other', true],
      ['one', false],
    ],
  )
  const [, told] = states
  // As it was when it told that.
  assert.ok([0, 0.75].includes(told!.hitRate))
  assert.equal((await app.cache.processes())[0]!.hitRate, 0.75)
  assert.equal(told!.pid, process.pid)
  assert.equal(told!.breaker, 'closed')
  assert.deepEqual([told!.seq, told!.behind], [0, 0])
  assert.ok(told!.toldAgoMs < 30_000 && (told!.sinceVerifiedMs ?? 0) < 30_000)
  const key = `{${options.namespace}}:processes`
  const ttl = await server.client().ttl(key)
  assert.ok(ttl > 0 && ttl <= 60)
  // Who closes says so, and only who has announced itself.
  await app.close()
  await quiet.close()
  assert.equal(await server.client().hlen(key), 1)
  assert.deepEqual(await named(other), ['other'])
})

test('announce() does what the option does, once', async (t) => {
  const options = await overRedis()
  const [one, other] = [await openClient(t, options), await openClient(t, options)]
  one.announce()
  one.announce()
  await eventually('it is seen', async () => (await other.processes()).length === 2)
  assert.equal((await one.processes()).length, 1)
})

test('one that was killed is gone after a while, and its record is removed by the next that starts', async (t) => {
  const options = await overRedis()
  const redis = (await sharedRedis()).client()
  const key = `{${options.namespace}}:processes`
  const one = await open(t, options, 'one')
  await areSeen(await open(t, options, 'other'), 'one', 'other')
  // As a killed process leaves it, 31 s later.
  const [[id, value]] = Object.entries(await redis.hgetall(key)) as [[string, string]]
  const [told, ...rest] = value.split(' ')
  const before = async (milliseconds: number): Promise<void> => {
    await redis.hset(key, 'killed-12345', [Number(told) - milliseconds, ...rest].join(' '))
  }
  assert.match(id, /^[\w-]{12}$/)
  await before(10_000)
  const killed = (await one.processes()).find((each) => each.id === 'killed-12345')
  assert.ok(killed!.toldAgoMs >= 10_000 && killed!.toldAgoMs < 30_000)
  await before(31_000)
  await areSeen(one, 'one', 'other')
  assert.equal(await redis.hlen(key), 3)
  await areSeen(await open(t, options, 'next'), 'one', 'other', 'next')
  assert.equal(await redis.hexists(key, 'killed-12345'), 0)
})

test('what is told says how many records the process was behind', async (t) => {
  const { client, presence } = await openPresence(t, 'lag')
  const epoch = 'e'.repeat(16)
  await client.mset({ '{lag}:epoch': epoch, '{lag}:seq': 8 })
  const behind = async (position: { epoch: string; seq: number }): Promise<string | null> => {
    await presence.tell({ id: 'id', count: 1 }, position, 'told')
    return client.hget('{lag}:processes', 'id')
  }
  assert.match((await behind({ epoch, seq: 1 }))!, /^\d+ 1 7 told$/)
  assert.match((await behind({ epoch, seq: 9 }))!, /^\d+ 1 0 told$/)
  // Of another epoch it knows nothing of this log.
  assert.match((await behind({ epoch: 'f'.repeat(16), seq: 1 }))!, /^\d+ 1 8 told$/)
  await client.set('{lag}:seq', 'no number')
  assert.match((await behind({ epoch, seq: 1 }))!, /^\d+ 1 0 told$/)
})

test('what others have written in the place of the records is left out', async (t) => {
  const options = await overRedis()
  const redis = (await sharedRedis()).client()
  const key = `{${options.namespace}}:processes`
  await redis.set(key, 'no hash')
  const one = await openClient(t, options)
  assert.deepEqual(await named(one), [hostname()])
  await open(t, options, 'other')
  await areSeen(one, hostname(), 'other')
  const [[id, value]] = Object.entries(await redis.hgetall(key)) as [[string, string]]
  const damaged = [
    ...['', 'x', '1 2 3 {}', value.replace(/\d/, 'x'), value.slice(0, -1), `${value}}`],
    value.replace('"pid":', '"pid":-'),
    value.replace('"closed"', '"ajar"'),
    value.replace('"other"', `"${'x'.repeat(2048)}"`),
  ]
  for (const each of damaged) {
    assert.notEqual(each, value)
    await redis.hset(key, id, each)
    assert.deepEqual(await named(one), [hostname()], each)
  }
  await redis.hset(key, id, value, '<b>', value, 'x'.repeat(33), value)
  assert.deepEqual(await named(one), [hostname(), 'other'])
  // A hash that nobody here has filled is not read at all.
  const many = Array.from({ length: 2001 }, (_, n) => [`id${n}`, value]).flat()
  await redis.hset(key, ...many)
  assert.deepEqual(await named(one), [hostname()])
  one.announce()
  await eventually('it begins anew', async () => (await redis.hlen(key)) === 1)
})

test('a record that comes late does not take the place of a later one', async (t) => {
  const { client, presence } = await openPresence(t, 'late')
  const nowhere = { epoch: '', seq: 0 }
  for (const count of [1, 3, 2, 3]) {
    await presence.tell({ id: 'id', count }, nowhere, `told ${count}`)
  }
  assert.match((await client.hget('{late}:processes', 'id'))!, /^\d+ 3 0 told 3$/)
  await presence.leave('id')
  await presence.leave('id')
  assert.equal(await client.exists('{late}:processes'), 0)
})

test('of more than 1,000 processes the rest is not told', async (t) => {
  const options = await overRedis()
  const redis = (await sharedRedis()).client()
  const key = `{${options.namespace}}:processes`
  const value = `${Date.now()} 1 0 {}`
  await redis.hset(key, ...Array.from({ length: 1000 }, (_, n) => [`id${n}`, value]).flat())
  const one = await openClient(t, options)
  const fails = one.stats().failures
  one.announce()
  await one.processes()
  await one.close()
  assert.equal(await redis.hlen(key), 1000)
  assert.deepEqual(fails, {})
})

test('with encryption nothing of it can be read, and only who has a key in common sees it', async (t) => {
  const options = await overRedis()
  const redis = (await sharedRedis()).client()
  const [a, b] = keys as [(typeof keys)[0], (typeof keys)[0]]
  const one = await open(t, { ...options, encryption: { keys: [a] } }, 'one')
  const both = await open(t, { ...options, encryption: { keys: [b, a] } }, 'both')
  const plain = await open(t, options, 'plain')
  const key = `{${options.namespace}}:processes`
  await eventually('three have told', async () => (await redis.hlen(key)) === 3)
  assert.deepEqual(await named(both), ['both', 'one'])
  assert.deepEqual(await named(one), ['one'])
  assert.deepEqual(await named(plain), ['plain'])
  const told = Object.values(await redis.hgetall(key)).filter((each) => !each.includes('plain'))
  assert.equal(told.length, 2)
  for (const each of told) assert.match(each, /^\d+ \d+ 0 [\w-]+$/)
})

describe('a Redis that is in trouble', () => {
  test('is not waited for beyond the deadline: there is this process', async (t) => {
    const server = await startRedis()
    t.after(() => server.stop())
    const options = {
      redis: server.url,
      namespace: 'shop',
      breaker: false,
      deadlineMs: 300,
    } as const
    const [one, other] = [await open(t, options, 'one'), await open(t, options, 'other')]
    await areSeen(one, 'one', 'other')
    server.freeze()
    const asked = inTime('an answer', one.processes(), 5000)
    assert.deepEqual(
      (await asked).map(({ host }) => host),
      ['one'],
    )
    assert.ok(one.stats().failures['processes']! >= 1)
    await inTime('the end', other.close(), 5000)
    server.thaw()
    await server.kill()
    assert.deepEqual(await named(one), ['one'])
    await server.restart()
    await areSeen(one, 'one')
  })
})

test('in a Cluster, with a prefix, it is the same', async (t) => {
  const cluster = await startCluster()
  t.after(() => cluster.stop())
  const options = (): ResponseCacheOptions => {
    const redis = new Cluster(cluster.startupNodes, { keyPrefix: 'app:' })
    redis.on('error', () => {})
    t.after(() => redis.disconnect())
    return { redis, namespace: 'shop', deadlineMs: 5000 }
  }
  const [one, other] = [await open(t, options(), 'one'), await open(t, options(), 'other')]
  await areSeen(one, 'one', 'other')
  await areSeen(other, 'one', 'other')
  assert.equal(await cluster.client().hlen('app:{shop}:processes'), 2)
  await other.close()
  assert.deepEqual(await named(one), ['one'])
})

describe('what is read', () => {
  const state = {
    ...{ host: 'a', pid: 1, startedAt: 2, seq: 3, sinceVerifiedMs: undefined },
    ...{ pendingInvalidations: 0, hitRate: 0.5, breaker: undefined },
  }

  test('never throws, and is what was told or nothing', () => {
    const value = fc.oneof(fc.string(), fc.json(), fc.constant('{"host":"a"}'))
    fc.assert(
      fc.property(value, (text) => {
        const told = decodeTold(text, 'id', undefined)
        if (told !== undefined)
          assert.deepEqual(decodeTold(encodeTold(told, 'id', undefined), 'id', undefined), told)
      }),
    )
    const wrong = { host: 5, pid: -1, startedAt: 0.5, seq: '3', sinceVerifiedMs: null }
    const others = { pendingInvalidations: -1, hitRate: 1.1, breaker: 'ajar' }
    for (const [name, bad] of Object.entries({ ...wrong, ...others })) {
      const text = JSON.stringify({ ...state, [name]: bad })
      assert.equal(decodeTold(text, 'id', undefined), undefined, name)
    }
    assert.deepEqual(decodeTold(JSON.stringify({ ...state, more: 1 }), 'id', undefined), state)
  })

  test('sealed, it is of one process and cannot be another’s', () => {
    const sealing = new Sealing('shop', keys)
    const text = encodeTold(state, 'one', sealing)
    assert.deepEqual(decodeTold(text, 'one', sealing), state)
    assert.equal(decodeTold(text, 'other', sealing), undefined)
    assert.equal(decodeTold(text.slice(4), 'one', sealing), undefined)
    assert.equal(decodeTold(JSON.stringify(state), 'one', sealing), undefined)
  })

  test('of an answer of any shape there are whole records only', () => {
    const item = fc.oneof(fc.string(), fc.nat(), fc.constantFrom(null, undefined, [], {}))
    fc.assert(
      fc.property(fc.oneof(fc.array(item), item), (answer) => {
        for (const record of parseTold(answer).records) {
          assert.ok(record.toldAgoMs >= 0 && record.toldAgoMs <= 30_000)
        }
      }),
    )
    const read = parseTold(['5000', 'ab', '7', 'id', '4000 1 2 {}', 'late', '9000 1 0 {}', 'odd'])
    assert.deepEqual(read, {
      position: { epoch: 'ab', seq: 7 },
      records: [
        { id: 'id', toldAgoMs: 1000, behind: 2, payload: '{}' },
        { id: 'late', toldAgoMs: 0, behind: 0, payload: '{}' },
      ],
    })
  })
})
