import { FAILED, type RedisClient, RedisGuard } from '../store/redis-guard.ts'
import { ensureConnected, ownConnection } from './redis-connection.ts'
import { CONTROL_TTL_SECONDS } from './redis-scripts.ts'

export interface Durability {
  /** How many replicas must have an invalidation. */
  replicas: number
  /** Milliseconds to wait for them. */
  timeoutMs: number
}

export interface ReplicasOptions extends Durability {
  /** A key of the log: in a Cluster it names the node to ask. */
  key: string
  deadlineMs: number
  onTrouble: (operation: string, error: Error) => void
}

const ENOUGH = undefined

/**
 * Asks replicas whether they have what was written, with WAIT. Replication keeps the order of a
 * master, so a write of this connection that they have comes after all that was written before it.
 * The connection is its own: WAIT holds up whatever is sent behind it.
 */
export class Replicas {
  readonly #options: ReplicasOptions
  readonly #connection: RedisClient
  readonly #guard: RedisGuard
  /** The question on its way; and the next one, which all who come meanwhile share. */
  #current: Promise<unknown> = Promise.resolve()
  #next: Promise<string | undefined> | undefined

  constructor(client: RedisClient, options: ReplicasOptions) {
    this.#options = options
    this.#connection = ownConnection(client)
    const { deadlineMs, timeoutMs, onTrouble } = options
    const limits = { deadlineMs: deadlineMs + timeoutMs, breaker: false, onTrouble } as const
    this.#guard = new RedisGuard(this.#connection, { ...limits, ownsClient: true })
  }

  start(): void {
    ensureConnected(this.#connection).catch(() => {})
  }

  /** Undefined when enough replicas have all that was written so far, else what went wrong. */
  acknowledge(): Promise<string | undefined> {
    this.#next ??= this.#current.then(() => {
      this.#next = undefined
      const asked = this.#ask()
      this.#current = asked
      return asked
    })
    return this.#next
  }

  close(): void {
    this.#connection.disconnect()
  }

  async #ask(): Promise<string | undefined> {
    const { replicas, timeoutMs } = this.#options
    const count = await this.#guard.attempt('wait', (client) => this.#wait(client))
    if (count === FAILED) return this.#guard.lastError
    if (count >= replicas) return ENOUGH
    return `${count} of ${replicas} replicas had it after ${timeoutMs} ms`
  }

  async #wait(client: RedisClient): Promise<number> {
    const { key, replicas, timeoutMs } = this.#options
    // One pipeline is for one node, on one connection. To write what is there already is enough.
    const ask = (): Promise<[Error | null, unknown][] | null> =>
      client.pipeline().expire(key, CONTROL_TTL_SECONDS).wait(replicas, timeoutMs).exec()
    let answers = await ask()
    if (client.isCluster && answers?.[0]?.[0]?.message.startsWith('MOVED')) {
      // The client follows a single command, and learns where the slot is now.
      await client.expire(key, CONTROL_TTL_SECONDS)
      answers = await ask()
    }
    const [written, waited] = answers ?? []
    const error = written?.[0] ?? waited?.[0]
    if (error) throw error
    const count = Number(waited?.[1])
    // No key, no write: then there is nothing to wait for that says anything.
    if (!Number.isSafeInteger(count) || Number(written?.[1]) !== 1) {
      throw new Error('the log is gone')
    }
    return count
  }
}
