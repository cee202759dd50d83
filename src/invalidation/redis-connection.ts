import type { Cluster, Redis } from 'ioredis'

import type { RedisClient } from '../store/redis-guard.ts'

/** Reconnect soon and for ever: a follower that gave up would never be verified again. */
function retryDelay(times: number): number {
  return Math.min(50 * times, 1000)
}

/**
 * A connection of our own with the settings of the given client: a blocking read must never stand
 * in the way of other commands. It connects only when told to.
 */
export function followerConnection(client: RedisClient): RedisClient {
  const connection = client.isCluster
    ? (client as Cluster).duplicate([], {
        lazyConnect: true,
        enableOfflineQueue: true,
        clusterRetryStrategy: retryDelay,
      })
    : (client as Redis).duplicate({
        lazyConnect: true,
        enableOfflineQueue: true,
        enableAutoPipelining: false,
        autoResendUnfulfilledCommands: false,
        maxRetriesPerRequest: 0,
        retryStrategy: retryDelay,
        // The user's limit would end a blocking read; every command here has a limit of its own.
        commandTimeout: undefined as unknown as number,
      })
  // Trouble is seen by the command it hits; without a listener ioredis would print it.
  connection.on('error', () => {})
  return connection
}

/** Connects if that is needed; rejects when it fails. */
export async function ensureConnected(connection: RedisClient): Promise<void> {
  if (
    connection.status === 'wait' ||
    connection.status === 'end' ||
    connection.status === 'close'
  ) {
    await connection.connect()
  }
}

/** Rejects when the command has not answered in time; what comes later is ignored. */
export function within<T>(milliseconds: number, command: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(new Error(`no answer within ${milliseconds} ms`))
    }, milliseconds)
    timer.unref()
    command.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** The first time soon: most often the connection was cut and nothing else is wrong. */
const [FIRST_RETRY_MS, MAX_RETRY_MS] = [50, 250]

/** The time between two attempts, longer with every one that fails. */
export class Retry {
  #failures = 0
  #wake: (() => void) | undefined

  succeeded(): void {
    this.#failures = 0
  }

  pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(FIRST_RETRY_MS * ++this.#failures, MAX_RETRY_MS))
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  /** Ends a pause. */
  wake(): void {
    this.#wake?.()
  }
}
