// What an entry, a tag, a record and an invalidation cost, here and in Redis.
import type { Redis } from 'ioredis'

import { LocalLog } from '../../src/invalidation/local-log.ts'
import { LogTable } from '../../src/invalidation/log-table.ts'
import { RedisFollower } from '../../src/invalidation/redis-follower.ts'
import { RedisLog } from '../../src/invalidation/redis-log.ts'
import { ControlCalls, controlKeys } from '../../src/invalidation/redis-scripts.ts'
import { MemoryStore } from '../../src/store/memory-store.ts'
import { RedisGuard } from '../../src/store/redis-guard.ts'
import { RedisStore } from '../../src/store/redis-store.ts'
import { type StoredEntry, plainLifetimes } from '../../src/stored-response.ts'
import { type RedisServer, startRedis } from '../../test/support/redis.ts'
import { type Row, milliseconds, quantile, rounded } from './figures.ts'
import { between, usageOf } from './usage.ts'

const NAMESPACE = 'scale'
const KEYS = controlKeys(NAMESPACE)
const MIB = 1024 * 1024
const MAX_TAGS = 100_000
/** The best of so many counts: the rest of the machine only ever makes it longer. */
const BATCHES = 7

/** A body of 1 kB, two fields, four tags: a product of a shop. */
function entry(index: number, bytes: number): StoredEntry {
  const path = `/products/${index}`
  return {
    ...new LocalLog(1).position,
    tags: ['r:=/products/:id', `p:=${path}`, `u:=${path.length}:${path}`, `t:=product:${index}`],
    ...plainLifetimes(Date.now(), Date.now() + 3_600_000),
    status: 200,
    headers: [
      ['content-type', 'application/json; charset=utf-8'],
      ['x-product', `product ${index}`],
    ],
    removed: [],
    varies: undefined,
    body: Buffer.allocUnsafeSlow(bytes).fill('x'),
  }
}

const keyOf = (index: number): string => `r:${String(index).padStart(43, 'k')}`

async function heldBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    globalThis.gc!()
    await new Promise((resolve) => setImmediate(resolve))
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

async function growthOf(count: number, fill: () => unknown): Promise<number> {
  const before = await heldBytes()
  const kept = fill()
  const grown = (await heldBytes()) - before
  if (kept === undefined) throw new Error('what was filled must still be there')
  return grown / count
}

/** Bytes for one more of each. */
export async function memory(): Promise<Row[]> {
  const server = await startRedis()
  const redis = server.client({ enableAutoPipelining: true })
  const guard = guardOf(redis)
  const store = new RedisStore(guard, NAMESPACE, () => {})
  const rows: Row[] = []
  for (const bytes of [100, 1000, 10_000]) {
    const entries = 20_000
    const here = await growthOf(entries, () => {
      const memoryStore = new MemoryStore({ maxBytes: 1024 * MIB, maxEntryBytes: MIB })
      for (let index = 0; index < entries; index++)
        memoryStore.set(keyOf(index), entry(index, bytes))
      return memoryStore
    })
    const before = await usedMemory(redis)
    for (let at = 0; at < entries; at += 1000) {
      const part = Array.from({ length: 1000 }, (_, index) => at + index)
      await Promise.all(
        part.map((index) => store.set(keyOf(index), entry(index, bytes), 3_600_000)),
      )
    }
    const there = ((await usedMemory(redis)) - before) / entries
    await redis.flushall()
    rows.push({
      'one more': `entry, body of ${rounded(bytes)} bytes, 4 tags`,
      'each process': `${rounded(here)} bytes`,
      Redis: `${rounded(there)} bytes`,
    })
  }
  const table = await growthOf(MAX_TAGS, () => {
    const full = new LogTable(MAX_TAGS)
    for (let seq = 1; seq <= MAX_TAGS; seq++) full.merge(tagOf(seq), seq, 'expire')
    return full
  })
  const log = await startLog(redis)
  const one = await stateBytes(redis)
  for (let at = 0; at < MAX_TAGS; at += 1000) await log.invalidate(tagsFrom(at, 1000))
  const tagged = (await stateBytes(redis)).tags - one.tags
  rows.push({
    'one more': 'tag that was ever invalidated (`product:12345`)',
    'each process': `${rounded(table)} bytes`,
    Redis: `${rounded(tagged / MAX_TAGS)} bytes`,
  })
  for (const count of [1, 10, 1000]) rows.push(await recordBytes(redis, log, count))
  await log.close()
  await server.stop()
  return rows
}

async function recordBytes(redis: Redis, log: RedisLog, count: number): Promise<Row> {
  await redis.xtrim(KEYS.log, 'MAXLEN', 0)
  const before = await stateBytes(redis)
  const records = count === 1000 ? 100 : 2000
  for (let at = 0; at < records; at += 1) await log.invalidate(tagsFrom(at * 7, count))
  const each = ((await stateBytes(redis)).log - before.log) / records
  return {
    'one more': `record in the log, ${count} ${count === 1 ? 'tag' : 'tags'}`,
    'each process': 'nothing',
    Redis: `${rounded(each)} bytes`,
  }
}

/** One invalidation, with more and more entries stored; they are not looked at. */
export async function invalidation(): Promise<Row[]> {
  const rows: Row[] = []
  for (const entries of [1000, 100_000, 1_000_000]) {
    const server = await startRedis({ args: ['--enable-debug-command', 'local'] })
    const redis = server.client({ enableAutoPipelining: true })
    await redis.call(
      'DEBUG',
      'POPULATE',
      String(entries),
      `${NAMESPACE}#r:${'k'.repeat(40)}`,
      '300',
    )
    const log = await startLog(redis)
    for (let at = 0; at < 10_000; at += 1000) await log.invalidate(tagsFrom(at, 1000))
    const row: Row = { 'entries in Redis': rounded(entries) }
    for (const count of [1, 10, 1000]) {
      Object.assign(row, await timeOf(server, log, count))
    }
    rows.push(row)
    await log.close()
    await server.stop()
  }
  return rows
}

async function timeOf(server: RedisServer, log: RedisLog, count: number): Promise<Row> {
  const redis = server.client()
  const rounds = count === 1000 ? 40 : 400
  const times = new Float32Array(rounds)
  let best = { medianMs: Infinity, scriptMs: Infinity }
  for (let batch = 0; batch < BATCHES; batch++) {
    await redis.config('RESETSTAT')
    for (let round = 0; round < rounds; round++) {
      const start = performance.now()
      await log.invalidate(tagsFrom((round * 13) % 9000, count))
      times[round] = performance.now() - start
    }
    const info = await redis.info('commandstats')
    const micros = Number(/cmdstat_evalsha:.*?usec_per_call=([\d.]+)/.exec(info)![1])
    const medianMs = quantile(times, 0.5)
    if (medianMs < best.medianMs) best = { medianMs, scriptMs: micros / 1000 }
  }
  const name = `${count} ${count === 1 ? 'tag' : 'tags'}`
  return { [name]: `${milliseconds(best.medianMs)}, script ${milliseconds(best.scriptMs)}` }
}

/** What a process that starts has to read before it may trust its table. */
export async function loading(): Promise<Row[]> {
  const server = await startRedis()
  const redis = server.client({ enableAutoPipelining: true })
  const rows: Row[] = []
  let known = 0
  for (const tags of [0, 1000, 10_000, 100_000]) {
    const log = await startLog(redis)
    for (; known < tags; known += 1000) await log.invalidate(tagsFrom(known, 1000))
    await log.close()
    const times = new Float32Array(9)
    const before = await usageOf(redis)
    for (const round of times.keys()) times[round] = await loadOnce(redis)
    const used = between(before, await usageOf(redis))
    rows.push({
      'tags in the table': rounded(tags),
      'until verified': milliseconds(quantile(times, 0)),
      'Redis CPU': milliseconds(used.cpuMs / times.length),
      'bytes out': rounded(used.bytesOut / times.length),
    })
  }
  await server.stop()
  return rows
}

async function loadOnce(redis: Redis): Promise<number> {
  const start = performance.now()
  const follower = new RedisFollower(redis, {
    calls: new ControlCalls(KEYS),
    inspect: undefined,
    maxTags: MAX_TAGS,
    beforeTrust: async () => {},
    onTrouble: () => {},
  })
  follower.start()
  await follower.until(() => follower.verifiedAt > 0, 60_000)
  const took = performance.now() - start
  await follower.close()
  return took
}

function guardOf(redis: Redis): RedisGuard {
  return new RedisGuard(redis, { deadlineMs: 60_000, breaker: false, onTrouble: () => {} })
}

async function startLog(redis: Redis): Promise<RedisLog> {
  const log = new RedisLog(guardOf(redis), {
    namespace: NAMESPACE,
    maxTags: MAX_TAGS,
    deadlineMs: 60_000,
    onTrouble: () => {},
  })
  await log.start()
  return log
}

// Out of a Buffer: a concatenation would keep its parts.
function tagOf(index: number): string {
  return Buffer.from(`t:=product:${String(index).padStart(5, '0')}`).toString()
}

function tagsFrom(at: number, count: number): { tags: string[]; mode: 'expire' } {
  return { tags: Array.from({ length: count }, (_, index) => tagOf(at + index)), mode: 'expire' }
}

async function usedMemory(redis: Redis): Promise<number> {
  return Number(/used_memory:(\d+)/.exec(await redis.info('memory'))![1])
}

async function stateBytes(redis: Redis): Promise<{ tags: number; log: number }> {
  const [tags, log] = await Promise.all(
    [KEYS.tags, KEYS.log].map((key) => redis.memory('USAGE', key, 'SAMPLES', 0)),
  )
  return { tags: tags ?? 0, log: log ?? 0 }
}
