// What a Redis server has used since its start, by its own account.
import type { Redis } from 'ioredis'

export interface Usage {
  at: number
  cpuMs: number
  bytesOut: number
  /** Reads of the stream, those included that waited in vain. */
  reads: number
}

export async function usageOf(redis: Redis): Promise<Usage> {
  const info = `${await redis.info('cpu')}${await redis.info('stats')}${await redis.info('commandstats')}`
  const field = (pattern: RegExp): number => Number(pattern.exec(info)?.[1] ?? 0)
  return {
    at: performance.now(),
    cpuMs: 1000 * (field(/^used_cpu_sys:(.*)/m) + field(/^used_cpu_user:(.*)/m)),
    bytesOut: field(/^total_net_output_bytes:(.*)/m),
    reads: field(/^cmdstat_xread:calls=(\d+)/m),
  }
}

export function between(before: Usage, after: Usage): Usage {
  return {
    at: after.at - before.at,
    cpuMs: after.cpuMs - before.cpuMs,
    bytesOut: after.bytesOut - before.bytesOut,
    reads: after.reads - before.reads,
  }
}
