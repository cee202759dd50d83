// `getOrSet` and wrapped functions over several processes.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import type { CacheClient } from '../../src/index.ts'
import { Door } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { overRedis, sharedRedis } from '../support/tiers.ts'
import { openClient } from './apps.ts'

const FLEET = { coalesce: { fleet: true } }

async function openThree(t: TestContext): Promise<CacheClient[]> {
  const options = await overRedis()
  return Promise.all([1, 2, 3].map(() => openClient(t, options)))
}

function waiting(clients: readonly CacheClient[]): number {
  return clients.reduce((sum, client) => sum + client.stats().fleet!.waiting, 0)
}

test('callers in three processes share one run of the factory', async (t) => {
  const clients = await openThree(t)
  const door = new Door()
  let runs = 0
  const factory = async (): Promise<string> => {
    runs++
    await door.pass()
    return 'value'
  }
  const calls = [...clients, ...clients].map((each) => each.getOrSet('key', factory, FLEET))
  await door.reached()
  await eventually('two wait', () => waiting(clients) === 2)
  door.open()
  assert.deepEqual(await Promise.all(calls), Array(6).fill('value'))
  assert.equal(runs, 1)
  assert.equal(
    clients.reduce((sum, client) => sum + client.stats().values.misses, 0),
    1,
  )
})

test('a wrapped function does so, too', async (t) => {
  const clients = await openThree(t)
  const door = new Door()
  let runs = 0
  const wrapped = clients.map((client) =>
    client.wrap(
      'double',
      async (n: number) => {
        runs++
        await door.pass()
        return 2 * n
      },
      FLEET,
    ),
  )
  const calls = wrapped.map((double) => double(21))
  await door.reached()
  await eventually('two wait', () => waiting(clients) === 2)
  door.open()
  assert.deepEqual(await Promise.all(calls), [42, 42, 42])
  assert.equal(runs, 1)
})

test('a factory that throws, or makes what cannot be stored, holds nobody up', async (t) => {
  for (const [key, make] of [
    ['throws', () => Promise.reject(new Error('no database'))],
    ['large', () => 'x'.repeat(9 * 1024 * 1024)],
  ] as const) {
    const clients = await openThree(t)
    const door = new Door()
    const factory = async (): Promise<string> => {
      await door.pass()
      return make()
    }
    const calls = clients.map((each) => each.getOrSet(key, factory, FLEET))
    const ended = Promise.allSettled(calls)
    await door.reached()
    await eventually('two wait', () => waiting(clients) === 2)
    door.open()
    for (const { status } of await ended) {
      assert.equal(status, key === 'throws' ? 'rejected' : 'fulfilled')
    }
    assert.equal(door.arrived, 3)
  }
})

test('after an invalidation during the run one of those who wait runs again', async (t) => {
  const clients = await openThree(t)
  const door = new Door()
  let runs = 0
  const factory = async (): Promise<number> => {
    const run = ++runs
    await door.pass()
    return run
  }
  const early = clients[0]!.getOrSet('key', factory, { ...FLEET, tags: ['a'] })
  await door.reached()
  await clients[0]!.invalidateTags(['a'])
  const late = [1, 2].map((at) => clients[at]!.getOrSet('key', factory, { ...FLEET, tags: ['a'] }))
  await eventually('two wait', () => waiting(clients) === 2)
  door.open()
  assert.equal(await early, 1)
  assert.deepEqual(await Promise.all(late), [2, 2])
})

test('without the option, and without Redis, each process runs its own', async (t) => {
  const [one, two] = await openThree(t)
  const factory = (): string => 'value'
  const raw = (await sharedRedis()).client()
  await Promise.all([one, two].map((each) => each!.getOrSet('key', factory)))
  const { namespace } = one!.stats()
  assert.deepEqual(await raw.keys(`${namespace}#l:*`), [])
  assert.equal(await (await openClient(t)).getOrSet('key', factory, FLEET), 'value')
})

test('a wrong option is refused', async (t) => {
  const client = await openClient(t)
  for (const coalesce of [true, null, { flet: true }, { fleet: 'yes' }]) {
    await assert.rejects(
      client.getOrSet('key', () => 1, { coalesce } as never),
      {
        code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
        message: /coalesce/,
      },
    )
  }
})
