import assert from 'node:assert/strict'
import { request } from 'node:http'
import { after, before, describe, it } from 'node:test'

import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Answer, type Demo, eventually, startDemo } from './demo.ts'

const cookieOf = ({ headers }: Answer): { cookie: string } => {
  return { cookie: headers['set-cookie']?.[0]?.split(';')[0] ?? '' }
}

describe('The patterns of the demo, with two processes on one Redis', () => {
  let redis: RedisServer
  let one: Demo
  let two: Demo
  before(async () => {
    redis = await startRedis()
    const env = { REDIS_URL: redis.url, SESSION_SECRET: 'a secret that both of the demos have' }
    one = await startDemo({ env })
    two = await startDemo({ env: { ...env, DATABASE_URL: one.databaseUrl } })
  })
  after(async () => {
    await two.end()
    await one.end()
    await redis.stop()
  })

  it('values: what one has set the other reads, lists in pages, and forgets by tag and pattern', async () => {
    for (const name of ['a', 'b', 'c']) {
      const body = { value: [name, null], ttl: 60, tags: [`letter-${name}`] }
      assert.equal((await one.send('PUT', `/cache/k:${name}`, { body })).body.stored, true)
    }
    const { body } = await two.get('/cache/k:b')
    assert.deepEqual([body.value, body.ttl > 50 && body.ttl <= 60], [['b', null], true])
    const pages = [
      await two.get('/cache?prefix=k:&size=2'),
      await two.get('/cache?prefix=k:&size=2&page=2'),
    ]
    assert.deepEqual(
      pages.map((page) => page.body.keys),
      [['k:a', 'k:b'], ['k:c']],
    )
    await one.send('POST', '/cache/invalidate', { body: { tags: ['letter-a'] } })
    await eventually(
      async () => (await two.get('/cache/k:a')).status === 404,
      () => 'the tag is not forgotten',
    )
    assert.equal((await two.get('/cache/k:b/exists')).body.exists, true)
    assert.equal((await two.send('DELETE', '/cache?pattern=k:*')).status, 204)
    assert.equal((await two.get('/cache/k:c/exists')).body.exists, false)
    assert.equal((await two.send('DELETE', '/cache/none')).status, 204)
  })

  it('profiles: a hash that the other process reads by field, slides, and never turns back', async () => {
    const body = { name: 'Ada', email: 'ada@example.org', city: 'London' }
    await one.send('PUT', '/users/ada', { body })
    const field = await two.get('/users/ada/city')
    assert.deepEqual([field.body.cache, field.body.value], ['hit', 'London'])

    const key = 'cities-demo:user:ada'
    const client = redis.client()
    await client.expire(key, 5)
    assert.ok((await two.get('/users/ada')).body.ttl <= 5)
    assert.ok((await two.get('/users/ada?slide=true')).body.ttl > 50)

    await client.del(key)
    const missed = await two.get('/users/ada')
    assert.deepEqual([missed.body.cache, missed.body.profile], ['miss', body])
    assert.equal((await two.get('/users/ada')).body.cache, 'hit')

    const changed = await two.send('PATCH', '/users/ada', { body: { city: 'Paris' } })
    assert.deepEqual(changed.body.profile, { ...body, city: 'Paris' })
    assert.equal((await one.get('/users/ada/city')).body.value, 'Paris')

    await one.send('DELETE', '/users/ada')
    assert.equal((await two.get('/users/ada')).status, 404)
    assert.deepEqual(Object.keys(await client.hgetall(key)), ['version'], 'known to be removed')
    await two.send('PUT', '/users/ada', { body })
    assert.equal((await one.get('/users/ada')).body.cache, 'hit')
  })

  it('limits: both processes count together; a bucket gives its five tokens once', async () => {
    const demos = [one, two, one, two, one]
    for (const [at, demo] of demos.entries()) {
      const { status, headers, body } = await demo.get('/rate-limit/check?client=both')
      assert.deepEqual([status, headers['x-ratelimit-limit'], body.countedIn], [200, '5', 'redis'])
      assert.equal(headers['x-ratelimit-remaining'], String(4 - at))
    }
    const refused = await two.get('/rate-limit/check?client=both')
    assert.equal(refused.status, 429)
    assert.ok(Number(refused.headers['retry-after']) >= 1)

    const all = await Promise.all(
      Array.from({ length: 20 }, (_, at) => (at % 2 === 0 ? one : two).get('/rate-limit/bucket')),
    )
    const allowed = all.filter(({ status }) => status === 200).length
    const late = all.find(({ status }) => status === 429)
    assert.ok(allowed >= 5 && allowed < 20, `${allowed} of 20`)
    assert.ok(Number(late?.headers['retry-after']) >= 1)
  })

  it('locks: while one works the other is told 409, or waits; fencing numbers grow', async () => {
    const working = one.send('POST', '/lock/invoice', { body: { seconds: 1.5, waitSeconds: 10 } })
    await eventually(
      async () =>
        (await two.send('POST', '/lock/invoice', { body: { seconds: 0 } })).status === 409,
      () => 'it is never locked',
    )
    const waiting = two.send('POST', '/lock/invoice', { body: { seconds: 0, waitSeconds: 10 } })
    const [first, second] = [await working, await waiting]
    assert.deepEqual([first.status, second.status], [200, 200])
    assert.ok(second.body.fencing > first.body.fencing)
  })

  it('queues: taken by priority, then in order, each once; a worker makes reports', async () => {
    const order = [
      ['low', 9],
      ['high', 1],
      ['first', 0],
      ['second', 0],
    ] as const
    for (const [name, priority] of order) {
      await one.send('POST', '/queue/tasks', { body: { name, priority } })
    }
    const names = ['first', 'second', 'high', 'low']
    const waiting = await two.get('/queue/tasks')
    assert.deepEqual(
      waiting.body.map((task: { name: string }) => task.name),
      names,
    )
    for (const name of names.slice(0, 3)) {
      assert.equal((await two.send('POST', '/queue/tasks/take')).body.name, name)
    }
    await one.send('DELETE', '/queue/tasks')
    assert.equal((await two.send('POST', '/queue/tasks/take')).status, 204)

    const ordered = await one.send('POST', '/queue/reports', { body: { country: 'IS' } })
    const path = String(ordered.headers.location)
    await eventually(
      async () => (await two.get(path)).body.state === 'completed',
      () => 'nobody makes the report',
    )
    assert.equal((await two.get(path)).body.result.name, 'Iceland')
    assert.equal((await two.get('/queue/reports/999')).status, 404)

    for (const name of ['a', 'b']) await one.send('POST', '/queue/list', { body: { name } })
    assert.deepEqual((await two.get('/queue/list')).body, ['a', 'b'])
    assert.deepEqual((await two.send('POST', '/queue/list/take')).body, { name: 'a', remaining: 1 })
    await two.send('DELETE', '/queue/list')
    assert.equal((await one.send('POST', '/queue/list/take')).status, 204)
  })

  it('sessions: known to both processes, unreadable in Redis, ended everywhere at once', async () => {
    const login = { body: { user: 'ada-lovelace' } }
    const [laptop, phone] = [
      await one.send('POST', '/sessions', login),
      await two.send('POST', '/sessions', login),
    ]
    assert.match(String(laptop.headers['set-cookie']), /HttpOnly; SameSite=Lax/)
    assert.equal((await two.get('/sessions/current', cookieOf(laptop))).body.user, 'ada-lovelace')
    const bob = await one.send('POST', '/sessions', { body: { user: 'bob' } })

    const client = redis.client()
    const entries = await client.keys('demo#*')
    const texts = await Promise.all(entries.map((key) => client.get(key).catch(() => '')))
    assert.ok(texts.length > 0)
    assert.doesNotMatch(texts.join(), /lovelace/)
    assert.equal((await one.send('DELETE', '/sessions', { headers: cookieOf(laptop) })).status, 204)
    for (const [demo, session] of [
      [one, phone],
      [two, phone],
      [two, laptop],
    ] as const) {
      await eventually(
        async () => (await demo.get('/sessions/current', cookieOf(session))).status === 401,
        () => 'still logged in',
      )
    }
    assert.equal((await two.get('/sessions/current', cookieOf(bob))).body.user, 'bob')
    assert.equal(
      (await two.send('DELETE', '/sessions/current', { headers: cookieOf(bob) })).status,
      204,
    )
    assert.equal(
      (await one.send('DELETE', '/sessions/current', { headers: cookieOf(bob) })).status,
      401,
    )
  })

  it('leaderboard: points given at once all count', async () => {
    await Promise.all(
      Array.from({ length: 20 }, (_, at) =>
        (at % 2 === 0 ? one : two).send('POST', '/leaderboard/ada', { body: { points: 1 } }),
      ),
    )
    await one.send('POST', '/leaderboard/bob', { body: { points: 21.5 } })
    assert.deepEqual((await two.get('/leaderboard?top=2')).body, [
      { player: 'bob', score: 21.5, rank: 1 },
      { player: 'ada', score: 20, rank: 2 },
    ])
    assert.deepEqual((await two.get('/leaderboard/ada')).body.rank, 2)
    assert.equal((await two.get('/leaderboard/nobody')).status, 404)
    await two.send('DELETE', '/leaderboard')
    assert.deepEqual((await one.get('/leaderboard')).body, [])
  })

  it('events: published in one process, heard in the other, and never cached', async () => {
    const sent = request(`${two.line('API')}/events`)
    let heard = ''
    sent.on('response', (response) => {
      assert.equal(response.headers['content-type'], 'text/event-stream')
      assert.equal(response.headers['cache-control'], 'no-store')
      assert.equal(response.headers['cache-status'], undefined)
      response.setEncoding('utf8').on('data', (text: string) => (heard += text))
      response.on('error', () => {})
    })
    sent.on('error', () => {}).end()
    await eventually(
      () => heard.includes('retry:'),
      () => 'the stream does not begin',
    )
    await one.send('POST', '/events', { body: { text: 'two\nlines' } })
    await eventually(
      () => heard.includes('data: {"text":"two\\nlines"}\n\n'),
      () => `heard: ${heard}`,
    )
    sent.destroy()
  })

  it('views of a city are added to PostgreSQL once, by whichever process', async () => {
    const path = '/cities/2643743/views'
    await Promise.all(
      Array.from({ length: 50 }, (_, at) => (at % 2 === 0 ? one : two).send('POST', path)),
    )
    await eventually(
      async () => (await one.get(path)).body.views >= 50,
      () => 'views are missing',
    )
    assert.equal((await two.get(path)).body.views, 50)
  })

  it('a reset forgets the keys of the demo, and leaves all else in Redis', async () => {
    const client = redis.client()
    await client.set('somebody:else', 'stays', 'EX', 600)
    await one.send('POST', '/leaderboard/ada', { body: { points: 1 } })
    await one.send('PUT', '/cache/k', { body: { value: 1 } })
    const { server, process: own } = (await one.get('/stats')).body
    assert.ok(server.keysOfThisDemo > 3 && server.usedMemoryBytes > 0 && own.uptimeSeconds >= 0)
    assert.equal(server.connection, 'ready')
    assert.match(server.version, /^\d+\.\d+/)

    const { body } = await one.send('POST', '/stats/reset')
    assert.ok(body.removedKeys > 0)
    assert.deepEqual((await one.get('/leaderboard')).body, [])
    assert.equal((await one.get('/cache/k')).status, 404)
    assert.equal(await client.get('somebody:else'), 'stays')
  })

  it('while Redis is frozen is degraded: patterns say why within seconds, and the rest answers', async () => {
    redis.freeze()
    try {
      const patterns = [
        '/leaderboard',
        '/users/ada',
        '/queue/list',
        '/queue/tasks',
        '/rate-limit/bucket?client=z',
      ]
      const all = await Promise.all(patterns.map((path) => one.get(path)))
      for (const [at, { status, body }] of all.entries()) {
        assert.deepEqual([status, body.code], [503, 'REDIS_AWAY'], patterns[at])
      }
      const { status, body } = await one.get('/health')
      assert.deepEqual([status, body.status, body.database], [200, 'degraded', 'ok'])
      assert.equal((await one.get('/cities/2988507')).status, 200)
      assert.equal((await one.get('/rate-limit/check?client=frozen')).status, 200)
      assert.ok((await one.get('/stats')).body.server.error)
    } finally {
      redis.thaw()
    }
    await eventually(
      async () => (await one.get('/health')).body.status === 'ok',
      () => 'it stays degraded',
    )
  })

  it('a lock whose process dies is free again', async () => {
    const working = two
      .send('POST', '/lock/dying', { body: { seconds: 30, waitSeconds: 10 } })
      .catch(() => {})
    await eventually(
      async () => (await one.send('POST', '/lock/dying', { body: { seconds: 0 } })).status === 409,
      () => 'it is never locked',
    )
    two.process.kill('SIGKILL')
    await working
    const next = await one.send('POST', '/lock/dying', { body: { seconds: 0, waitSeconds: 10 } })
    assert.equal(next.status, 200)
  })
})
