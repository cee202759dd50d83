import type { Cluster, Redis } from 'ioredis'

import type { RedisClient } from '../store/redis-guard.ts'

/** Reconnect soon and for ever: what gave up would never be of use again. */
function retryDelay(times: number): number {
  return Math.min(50 * times, 1000)
}

/**
 * Options of the user's client that would end a blocking read, or would give its answer another
 * shape; every command here has a limit of its own.
 */
const UNSUITABLE: object = {
  commandTimeout: undefined,
  socketTimeout: undefined,
  blockingTimeout: undefined,
  replyMapping: 'legacy',
}

/**
 * A connection of our own with the settings of the given client: a command that blocks must never
 * stand in the way of others. It connects only when told to, and sends nothing a second time.
 */
export function ownConnection(client: RedisClient): RedisClient {
  const own = { lazyConnect: true, enableOfflineQueue: true, enableAutoPipelining: false }
  const connection = client.isCluster
    ? (client as Cluster).duplicate([], {
        ...own,
        clusterRetryStrategy: retryDelay,
        redisOptions: { ...UNSUITABLE },
      })
    : (client as Redis).duplicate({
        ...UNSUITABLE,
        ...own,
        maxRetriesPerRequest: 0,
        autoResendUnfulfilledCommands: false,
        retryStrategy: retryDelay,
      })
  connection.on('error', (error: ConnectionError) => {
    lastErrors.set(connection, error.lastNodeError ?? error)
  })
  connection.on('ready', () => lastErrors.delete(connection))
  return connection
}

/** Attempts in a row after which a connection is replaced. */
const REPLACE_AFTER = 3

/**
 * After an attempt that failed: the connection for the next. A frozen server keeps the socket open,
 * and a Cluster client can come to a state that it does not leave by itself.
 */
export function nextConnection(
  connection: RedisClient,
  client: RedisClient,
  failures: number,
): RedisClient {
  if (failures % REPLACE_AFTER === REPLACE_AFTER - 1) {
    if (connection.status !== 'end') connection.disconnect()
    return ownConnection(client)
  }
  if (connection.status === 'ready') connection.disconnect(true)
  return connection
}

/** Of a Cluster client the reason is in the error of a node. */
type ConnectionError = Error & { lastNodeError?: Error }

const lastErrors = new WeakMap<RedisClient, Error>()

/** The error of a command, with why there is no connection: the command only knows that it waited. */
export function withReason(connection: RedisClient, error: Error): Error {
  const reason = lastErrors.get(connection)
  if (reason === undefined || reason.message === error.message) return error
  return new Error(`${error.message}: ${reason.message}`, { cause: reason })
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
    const late = (): void => reject(new Error(`no answer within ${milliseconds} ms`))
    // In a process that stood still the answer may have come long ago, and is read after the timers.
    const timer = setTimeout(() => setImmediate(late), milliseconds)
    timer.unref()
    command.then(resolve, reject).finally(() => clearTimeout(timer))
  })
}

/** The first time soon: most often the connection was cut and nothing else is wrong. */
const [FIRST_RETRY_MS, MAX_RETRY_MS] = [50, 250]

/** The time between two attempts, longer with every one that fails. */
export class Retry {
  failures = 0
  #wake: (() => void) | undefined

  succeeded(): void {
    this.failures = 0
  }

  pause(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, Math.min(FIRST_RETRY_MS * ++this.failures, MAX_RETRY_MS))
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
