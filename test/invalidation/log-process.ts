// A process that follows the log, without the process: a log on connections of its own.
import assert from 'node:assert/strict'
import type { Redis } from 'ioredis'

import type { Fenced } from '../../src/invalidation/log.ts'
import { RedisLog } from '../../src/invalidation/redis-log.ts'
import type { Durability } from '../../src/invalidation/redis-replicas.ts'
import { type ControlKeys, controlKeys } from '../../src/invalidation/redis-scripts.ts'
import { EPOCH_LENGTH } from '../../src/stored-response.ts'
import { type RedisClient, RedisGuard } from '../../src/store/redis-guard.ts'
import { eventually } from '../support/clock.ts'

export const NAMESPACE = 'shop'
export const KEYS: ControlKeys = controlKeys(NAMESPACE)

/** A bound for what takes the log at most 3 s: a lost connection, a lease, a load. */
const RECOVERY_MS = 10_000

export interface LogProcessOptions {
  maxTags?: number
  deadlineMs?: number
  namespace?: string
  durability?: Durability
}

export class LogProcess {
  readonly log: RedisLog
  readonly client: RedisClient
  readonly troubles: string[] = []

  constructor(client: RedisClient, options: LogProcessOptions = {}) {
    const { maxTags = 1000, deadlineMs = 1000, namespace = NAMESPACE, durability } = options
    const onTrouble = (operation: string, error: Error): void => {
      this.troubles.push(`${operation}: ${error.message}`)
    }
    this.client = client
    const guard = new RedisGuard(client, { deadlineMs, breaker: false, onTrouble })
    this.log = new RedisLog(guard, { namespace, maxTags, deadlineMs, durability, onTrouble })
  }

  /** Connected and loaded. */
  static async start(client: RedisClient, options?: LogProcessOptions): Promise<LogProcess> {
    const process = new LogProcess(client, options)
    try {
      await eventually('the client is connected', () => client.status === 'ready')
      await process.log.start()
      await eventually('the log is loaded', () => process.log.verified(), RECOVERY_MS)
      return process
    } catch (error) {
      await process.close()
      throw error
    }
  }

  /** What a handler that starts now and answers at once would have stored. */
  compute(...tags: string[]): Fenced {
    return { ...this.log.position, tags }
  }

  /** Whether a request to this process may be answered with the entry: the rule of a lookup. */
  async uses(entry: Fenced, strict = false): Promise<boolean> {
    const { log } = this
    if ((strict || !log.verified()) && !(await log.confirm())) return false
    return log.verified() && log.allows(entry)
  }

  async invalidate(...tags: string[]): Promise<void> {
    await this.log.invalidate({ tags, mode: 'expire' })
  }

  async invalidateAll(): Promise<void> {
    await this.log.invalidate({ tags: 'all', mode: 'purge' })
  }

  /** Fails unless what is computed here is used there, and invalidated there is not used here. */
  async worksWith(other: LogProcess): Promise<void> {
    const tag = `t:=works${Math.random()}`
    let fresh = this.compute(tag)
    await eventually(
      'what is computed anew is used',
      async () => {
        fresh = this.compute(tag)
        return isEpoch(fresh.epoch) && (await this.uses(fresh)) && (await other.uses(fresh))
      },
      RECOVERY_MS,
    )
    await eventually(
      'an invalidation is confirmed',
      async () => {
        try {
          await other.invalidate(tag)
          return true
        } catch {
          return false
        }
      },
      RECOVERY_MS,
    )
    assert.equal(await other.uses(fresh), false)
    assert.equal(await this.uses(fresh, true), false)
    await eventually('the invalidation has arrived', async () => !(await this.uses(fresh)))
  }

  close(): Promise<void> {
    return this.log.close()
  }
}

/** An epoch that a frame has room for; with any other nothing that is stored can be found again. */
function isEpoch(epoch: string): boolean {
  return Buffer.byteLength(epoch) === EPOCH_LENGTH
}

/** Cuts every connection but this one, as a server or a network in trouble does. */
export async function cutConnections(raw: Redis): Promise<void> {
  await raw.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
}

/** Cuts the connections on which the log is being read, and no other; says how many. */
export async function killFollowers(raw: Redis): Promise<number> {
  const list = (await raw.call('CLIENT', 'LIST')) as string
  const readers = list.split('\n').filter((each) => / cmd=xread /.test(each))
  for (const line of readers) {
    await raw.call('CLIENT', 'KILL', 'ID', /\bid=(\d+)/.exec(line)![1]!)
  }
  return readers.length
}

/** The same, with certainty: twice a second a follower asks for something else between two reads. */
export async function cutFollower(raw: Redis): Promise<void> {
  await eventually('it is reading', async () => (await killFollowers(raw)) > 0)
}

/** Cuts the connections of all followers and waits until they have loaded the log on others. */
export async function loadedAnew(process: LogProcess, raw: Redis, followers = 2): Promise<void> {
  const { epoch } = process.log.position
  const asked = Number(/cmdstat_zscan:calls=(\d+)/.exec(await raw.info('commandstats'))![1])
  await cutConnections(raw)
  await eventually('loaded anew', async () => {
    const calls = /cmdstat_zscan:calls=(\d+)/.exec(await raw.info('commandstats'))
    return Number(calls![1]) >= asked + followers && process.log.verified()
  })
  assert.equal(process.log.position.epoch, epoch)
}
