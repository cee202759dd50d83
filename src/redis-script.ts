import { createHash } from 'node:crypto'

import type { RedisClient } from './store/redis-guard.ts'

/** A Lua script under its own digest, so that it is sent once per server and not once per call. */
export interface RedisScript {
  readonly source: string
  readonly sha: string
}

export function redisScript(source: string): RedisScript {
  return { source, sha: createHash('sha1').update(source).digest('hex') }
}

type Argument = string | number | Buffer

/**
 * EVALSHA, and EVAL where the server does not know the script: a new server, a restart, SCRIPT
 * FLUSH. Not `defineCommand`, which would leave our names on a client that the user owns.
 */
export async function runScript(
  client: RedisClient,
  script: RedisScript,
  keys: readonly string[],
  args: readonly Argument[],
): Promise<unknown> {
  try {
    return await client.evalsha(script.sha, keys.length, ...keys, ...args)
  } catch (error) {
    if (!(error instanceof Error) || !error.message.startsWith('NOSCRIPT')) throw error
    return client.eval(script.source, keys.length, ...keys, ...args)
  }
}
