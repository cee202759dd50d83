// What this process keeps for a Redis that does not answer.
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { FAILED, RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { makeEntry } from './entries.ts'

describe('while Redis stands still, and no breaker is there', () => {
  let server: RedisServer
  let guard: RedisGuard
  const troubles = new Set<string>()
  before(async () => {
    server = await startRedis()
    const client = server.client({ enableAutoPipelining: true })
    guard = new RedisGuard(client, {
      deadlineMs: 500,
      breaker: false,
      onTrouble: (operation, error) => troubles.add(`${operation}: ${error.message}`),
    })
    await eventually('it is connected', () => client.status === 'ready')
  })
  after(() => server.stop())

  it('frames that wait to be written take so many bytes and no more', async () => {
    const store = new RedisStore(guard, 'shop', () => {})
    store.acceptBodies(8 * 1024 * 1024)
    const body = Buffer.alloc(8 * 1024 * 1024)
    const set = (key: string): Promise<boolean> => store.set(key, makeEntry({ body }), 60_000, true)
    server.freeze()
    const sets = Array.from({ length: 6 }, (_, at) => set(`${at}`))
    assert.deepEqual(new Set(await Promise.all(sets)), new Set([false]))
    assert.ok([...troubles].some((trouble) => /^set: \d+ bytes wait to be written/.test(trouble)))
    server.thaw()
    await eventually('what was written has made room', () => set('later'))
  })

  it('commands wait for an answer up to a number, and are refused at once beyond it', async () => {
    server.freeze()
    const ask = (): Promise<unknown> => guard.attempt('get', (client) => client.get('a'))
    const asked = Array.from({ length: 10_001 }, ask)
    assert.equal(await asked.at(-1), FAILED)
    assert.ok(troubles.has('get: 10000 commands wait for an answer'))
    await Promise.all(asked)
    assert.equal(await ask(), FAILED)
    server.thaw()
    await eventually('it is asked again', async () => (await ask()) === null)
  })
})
