import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Answer, type Demo, eventually, startDemo } from './demo.ts'

const HIT = /^hit; ttl=\d+/
// The host is part of a response's key: as behind a load balancer, both demos have the same.
const headers = { host: 'cities.test' }

describe('Two demos on one Redis and one database', () => {
  let redis: RedisServer
  let one: Demo
  let two: Demo
  before(async () => {
    redis = await startRedis({ password: 'secret' })
    one = await startDemo({ env: { REDIS_URL: redis.url } })
    two = await startDemo({ env: { REDIS_URL: redis.url, DATABASE_URL: one.databaseUrl } })
  })
  after(async () => {
    await two.end()
    await one.end()
    await redis.stop()
  })

  it('say which Redis they use, without its password', () => {
    assert.match(one.line('Cache'), /^memory and Redis, redis:\/\/.*127\.0\.0\.1:\d+/)
    assert.doesNotMatch(one.output + two.output, /secret|does not answer/)
    assert.match(two.line('Database'), /^PostgreSQL at postgresql:/)
    assert.deepEqual(two.children, [])
    assert.match(two.line('Data'), /\(loaded before\)$/)
  })

  it('answer with what the other has stored', async () => {
    assert.equal((await one.get('/countries/IS', headers)).cache, 'fwd=uri-miss; stored')
    await eventually(
      async () => HIT.test((await two.get('/countries/IS', headers)).cache ?? ''),
      () => 'the second demo never answers from Redis',
    )
    const { body } = await two.get('/stats')
    assert.ok(body.routes['/countries/:code'].hits > 0)
  })

  it('see a write of the other', async () => {
    const paths = ['/cities/2988507', '/cities?name=paris', '/countries/FR/statistics']
    for (const [writer, reader, population] of [
      [one, two, 2102650],
      [two, one, 2102651],
    ] as const) {
      for (const path of paths) await hit(reader, path)
      const written = await writer.send('PATCH', '/cities/2988507', { body: { population } })
      assert.equal(written.status, 200)
      for (const path of paths) {
        await eventually(
          async () => showsParis((await reader.get(path, headers)).body, population),
          () => `${path} never shows what the other demo wrote`,
          2500,
        )
      }
      await hit(reader, '/cities/2988507')
    }
  })

  it('go on without Redis, and use it again when it is back', async () => {
    await redis.kill()
    const path = '/countries/DE'
    assert.equal((await one.get(path, headers)).status, 200)
    assert.equal((await one.get(path, headers)).status, 200)
    await redis.restart()
    await hit(one, path)
    await hit(two, path)
  })

  it('start without Redis too, and say so', async () => {
    const env = { REDIS_URL: 'redis://127.0.0.1:1', DATABASE_URL: one.databaseUrl }
    const demo = await startDemo({ env })
    assert.match(demo.output, /Redis does not answer/)
    assert.equal((await demo.get('/cities/2988507')).status, 200)
    assert.equal((await demo.end()).code, 0)
  })
})

function showsParis(body: object, population: number): boolean {
  return JSON.stringify(body).includes(`"population":${population}`)
}

/** Asks until the cache answers: a response reaches Redis after it has reached the client. */
async function hit(demo: Demo, path: string): Promise<Answer> {
  let answer = await demo.get(path, headers)
  await eventually(
    async () => {
      if (HIT.test(answer.cache ?? '')) return true
      answer = await demo.get(path, headers)
      return false
    },
    () => `${path} is never a hit: ${answer.cache}`,
  )
  return answer
}
