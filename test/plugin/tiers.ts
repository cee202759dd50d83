// The same test over each arrangement of the tiers: what is observed must not depend on it.
import { type TestContext, after, before, test } from 'node:test'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

let server: RedisServer
let namespaces = 0

/** Starts one server for the tests of a file. */
export function useRedis(): void {
  before(async () => {
    server = await startRedis()
  })
  after(() => server.stop())
}

export function redis(): RedisServer {
  return server
}

/** Options of a cache over Redis that shares nothing with others; twice the same: two processes. */
export function overRedis(): ResponseCacheOptions {
  // A slow machine is no reason for a miss here.
  return { redis: server.url, namespace: `n${namespaces++}`, deadlineMs: 5000 }
}

const ARRANGEMENTS: [string, () => ResponseCacheOptions][] = [
  ['in memory', () => ({})],
  ['in Redis alone', () => ({ ...overRedis(), memory: false })],
  ['in memory over Redis', overRedis],
]

export function testInAllTiers(
  title: string,
  body: (t: TestContext, cache: ResponseCacheOptions) => Promise<void>,
): void {
  for (const [where, options] of ARRANGEMENTS) {
    test(`${title} (${where})`, (t) => body(t, options()))
  }
}
