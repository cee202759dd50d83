// What happens to Redis during the soak, in any order.
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import type { RedisServer } from '../support/redis.ts'

export type SoakFault = (server: RedisServer, raw: Redis) => Promise<unknown>

export const SOAK_FAULTS: Record<string, SoakFault> = {
  'frozen for a second': async (server) => {
    server.freeze()
    await pause(1000)
    server.thaw()
  },
  'killed, and back empty': async (server) => {
    await server.kill()
    await pause(500)
    await server.restart()
  },
  'all connections cut': (_server, raw) =>
    raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'),
  flushed: (_server, raw) => raw.flushall(),
  'scripts flushed': (_server, raw) => raw.script('FLUSH'),
  'memory full': async (_server, raw) => {
    await raw.config('SET', 'maxmemory', '1')
    await pause(1000)
    await raw.config('SET', 'maxmemory', '0')
  },
}
