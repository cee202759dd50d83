// The same behaviour in memory, over Redis with memory, and over Redis alone.
import { type TestContext, after, test } from 'node:test'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { type RedisServer, startRedis } from './redis.ts'

let server: Promise<RedisServer> | undefined
let namespaces = 0

after(async () => (await server)?.stop())

/** One server for a file, ended with it. */
export function sharedRedis(): Promise<RedisServer> {
  return (server ??= startRedis())
}

/** Each call is a namespace of its own; a slow machine is no reason for a miss. */
export async function overRedis(options: ResponseCacheOptions = {}): Promise<ResponseCacheOptions> {
  const { url } = await sharedRedis()
  return { redis: url, namespace: `n${++namespaces}`, deadlineMs: 5000, ...options }
}

const TIERS: Record<string, () => Promise<ResponseCacheOptions>> = {
  'in memory': () => Promise.resolve({}),
  'over Redis with memory': () => overRedis(),
  'over Redis alone': () => overRedis({ memory: false }),
}

/** Runs the test once for each arrangement of tiers, with the plugin options that make it. */
export function onEachTier(
  title: string,
  body: (t: TestContext, cache: ResponseCacheOptions) => Promise<void>,
): void {
  for (const [name, options] of Object.entries(TIERS)) {
    test(`${title} (${name})`, async (t) => body(t, await options()))
  }
}
