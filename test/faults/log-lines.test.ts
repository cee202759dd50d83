// What an operator reads: one line when something begins, one when it is over, and never one for
// each request.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import type { Redis } from 'ioredis'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { Scene } from './scene.ts'

interface Line {
  level: number
  cache?: string
  change?: string
  operation?: string
  err?: { message: string }
  msg: string
}

const [INFO, WARN] = [30, 40]
const PASSWORD = 'a-word-that-nobody-may-read'

class Log {
  readonly text: string[] = []

  get lines(): Line[] {
    return this.text.map((line) => JSON.parse(line) as Line).filter(({ cache }) => cache === 'shop')
  }

  changes(): [change: string, level: number][] {
    return this.lines.flatMap(({ change, level }) =>
      change ? [[change, level] as const] : [],
    ) as [string, number][]
  }

  /** By operation: how often it was said that it failed. */
  operations(): Record<string, number> {
    const counts: Record<string, number> = {}
    for (const { operation } of this.lines) {
      if (operation !== undefined) counts[operation] = (counts[operation] ?? 0) + 1
    }
    return counts
  }

  async says(change: string): Promise<void> {
    await eventually(`the log says ${change}`, () =>
      this.changes().some(([each]) => each === change),
    )
  }
}

interface Observed {
  server: RedisServer
  scene: Scene
  log: Log
}

async function observe(
  t: TestContext,
  options: ResponseCacheOptions = {},
  args: readonly string[] = [],
): Promise<Observed> {
  const server = await startRedis({ password: PASSWORD, args })
  t.after(() => server.stop())
  const log = new Log()
  const stream = { write: (line: string) => void log.text.push(line) }
  const fastify = { logger: { level: 'info', stream } }
  const scene = await Scene.start(t, { redis: server.url, deadlineMs: 2000, ...options }, fastify)
  return { server, scene, log }
}

/** Says it once, whatever the number of requests; and gives nothing away. */
function assertTerse(t: TestContext, { log }: Observed, requests: number): void {
  t.diagnostic(`${log.lines.length} lines for ${requests} requests`)
  for (const [operation, times] of Object.entries(log.operations())) {
    assert.equal(times, 1, operation)
  }
  assert.ok(log.lines.length < requests / 4, `${log.lines.length} lines, ${requests} requests`)
  assert.ok(!log.text.join('').includes(PASSWORD))
}

describe('the log of the application', { concurrency: 4 }, () => {
  it('has nothing to say while all is well', async (t) => {
    const { scene, log } = await observe(t)
    await scene.under(() => scene.caches())
    assert.deepEqual(log.lines, [])
  })

  it('says once that a frozen Redis is not asked any more, and once that it is asked again', async (t) => {
    const observed = await observe(t, { deadlineMs: 250 })
    const { server, scene, log } = observed
    const { requests } = await scene.under(async () => {
      await scene.caches()
      server.freeze()
      await log.says('log-lost')
      server.thaw()
      await log.says('log-followed')
      await log.says('breaker-closed')
      await scene.caches()
    })
    assert.deepEqual(log.changes().sort(), [
      ['breaker-closed', INFO],
      ['breaker-opened', WARN],
      ['log-followed', INFO],
      ['log-lost', WARN],
    ])
    assertTerse(t, observed, requests)
  })

  it('says once that Redis is gone, once that it is back, and that it came back empty', async (t) => {
    const observed = await observe(t)
    const { server, scene, log } = observed
    const { requests } = await scene.under(async () => {
      await scene.caches()
      await server.kill()
      await log.says('log-lost')
      await pause(300)
      await server.restart()
      await log.says('log-followed')
      await scene.caches()
    })
    const changes = log.changes()
    assert.equal(changes.filter(([change]) => change === 'log-lost').length, 1)
    assert.equal(changes.filter(([change]) => change === 'log-followed').length, 1)
    assert.deepEqual(
      changes.filter(([change]) => change === 'epoch-changed'),
      [['epoch-changed', WARN]],
    )
    assertTerse(t, observed, requests)
  })

  it('says once that the log began anew, though everything is flushed again and again', async (t) => {
    const observed = await observe(t)
    const { server, scene, log } = observed
    const { requests } = await scene.under(async () => {
      await scene.caches()
      for (let round = 0; round < 5; round++) {
        const { epoch } = scene.stats.log
        await server.client().flushall()
        await eventually('another epoch', () => scene.stats.log.epoch !== epoch)
      }
    })
    const changes = log.changes().filter(([change]) => change === 'epoch-changed')
    assert.deepEqual(changes, [['epoch-changed', WARN]])
    assertTerse(t, observed, requests)
  })

  it('says once that the follower was cut off, and once that it has caught up, however often it happens', async (t) => {
    const observed = await observe(t)
    const { server, scene, log } = observed
    const { requests } = await scene.under(async () => {
      await scene.caches()
      for (let round = 0; round < 5; round++) {
        await server.client().call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
        await pause(300)
      }
      await log.says('log-followed')
      await scene.caches()
    })
    assert.deepEqual(log.changes(), [
      ['log-lost', WARN],
      ['log-followed', INFO],
    ])
    assertTerse(t, observed, requests)
  })

  const others: [
    what: string,
    args: readonly string[],
    act: (raw: Redis, scene: Scene) => Promise<unknown>,
    operations: readonly string[],
    changes: readonly string[],
  ][] = [
    ['the scripts are flushed', [], (raw) => raw.script('FLUSH'), [], []],
    [
      'Redis has no memory left',
      ['--maxmemory-policy', 'noeviction'],
      async (raw, scene) => {
        await raw.config('SET', 'maxmemory', '1')
        await eventually('a write was refused', () => scene.stats.failures['set']! > 1)
        await raw.config('SET', 'maxmemory', '0')
      },
      ['set'],
      [],
    ],
    [
      'Redis turns into a replica that only reads',
      [],
      async (raw, scene) => {
        await raw.replicaof('127.0.0.1', 1)
        await eventually('all was refused', () =>
          ['set', 'invalidate', 'invalidates'].every((each) => scene.stats.failures[each]! > 0),
        )
        await raw.replicaof('NO', 'ONE')
      },
      ['invalidate', 'invalidates', 'set'],
      [],
    ],
    [
      'a control key is gone',
      [],
      async (raw, scene) => {
        const { epoch } = scene.stats.log
        await raw.del('{shop}:floor')
        await eventually('another epoch', () => scene.stats.log.epoch !== epoch)
      },
      [],
      ['epoch-changed'],
    ],
  ]
  for (const [what, args, act, operations, changes] of others) {
    it(`says what is wrong, and no more, when ${what}`, async (t) => {
      const observed = await observe(t, { memory: false }, args)
      const { server, scene, log } = observed
      const { requests } = await scene.under(async () => {
        await scene.caches('redis')
        await act(server.client(), scene)
        await scene.recovered()
        await scene.caches('redis')
      })
      const late = log.lines.filter(({ err }) => err?.message.startsWith('no answer'))
      // Reads that are just under way may be cut short when Redis changes its role.
      const said = Object.keys(log.operations()).filter(
        (each) =>
          !['follow', 'get'].includes(each) &&
          (operations.includes(each) || !late.some(({ operation }) => operation === each)),
      )
      assert.deepEqual(said.sort(), operations)
      assert.deepEqual(
        [...new Set(log.changes().map(([change]) => change))].filter(
          (change) => change === 'epoch-changed',
        ),
        changes,
      )
      assertTerse(t, observed, requests)
    })
  }

  it('says once that stored entries are damaged, and nothing of what is in them', async (t) => {
    const observed = await observe(t, { memory: false })
    const { server, scene, log } = observed
    const raw = server.client()
    const { requests } = await scene.under(async () => {
      await scene.caches('redis')
      for (let round = 0; round < 5; round++) {
        for (const key of await raw.keys('shop#r:*')) await raw.set(key, 'hidden words', 'EX', 60)
        await pause(50)
      }
      await eventually('it is noticed', () => scene.stats.failures['decode']! > 1)
    })
    assert.equal(log.operations()['decode'], 1)
    assert.ok(!log.text.join('').includes('hidden words'))
    assertTerse(t, observed, requests)
  })
})
