import { formatPosition, parsePosition, takeCookie } from './http/position-token.ts'
import type { RequestFields } from './http/credentials.ts'
import type { InvalidationLog } from './invalidation/log.ts'
import type { LogPosition } from './stored-response.ts'

export interface ReadYourWritesParts {
  secrets: readonly [string, ...string[]]
  cookie: string | undefined
  header: string | undefined
  maxWaitMs: number
  /** Tokens of one namespace mean nothing in another. */
  namespace: string
  log: InvalidationLog
  now: () => number
}

/** Longer than any process lags behind: its lease is over sooner. */
const MAX_AGE_S = 60
/** So that the clocks of processes may differ by minutes. */
const VALID_MS = 5 * 60_000
/** Beyond it nobody waits: handlers run. */
const MAX_WAITING = 10_000

/** No place in the log: Redis has not confirmed the write, or there is a new log since. */
const NOWHERE: LogPosition = { epoch: '', seq: 0 }

/**
 * A client that wrote carries the position of its write in the log. What it reads next is answered
 * from the cache by processes that have heard of it, and by the handler elsewhere.
 */
export class ReadYourWrites {
  readonly #parts: ReadYourWritesParts
  #waiting = 0

  constructor(parts: ReadYourWritesParts) {
    this.#parts = parts
  }

  /**
   * The position that a request carries. Its cookie is taken out of the fields: it is no credential,
   * no part of a key, and nothing to a handler. One that was not signed here stays what it is.
   */
  take(fields: RequestFields): LogPosition | undefined {
    const { cookie, header, namespace, secrets, now } = this.#parts
    const carried =
      cookie === undefined ? fieldIn(fields, header!) : cookieIn(fields.cookie, cookie)
    if (carried === undefined) return undefined
    const token = parsePosition(carried.value, namespace, secrets)
    if (token === undefined) return undefined
    if (cookie !== undefined) {
      if (carried.rest === undefined) delete fields.cookie
      else fields.cookie = carried.rest
    }
    return token.expiresAt > now() ? token : undefined
  }

  /** What to send to a client after its write; `receipt` is undefined when that is not confirmed. */
  fieldFor(receipt: LogPosition | undefined, isSecure: boolean): [name: string, value: string] {
    const { cookie, header, namespace, secrets, now } = this.#parts
    const position = this.#latest(receipt ?? NOWHERE)
    const token = formatPosition(
      { epoch: position.epoch, seq: position.seq, expiresAt: now() + VALID_MS },
      namespace,
      secrets[0],
    )
    if (cookie === undefined) return [header!, token]
    const attributes = `Max-Age=${MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax`
    return ['set-cookie', `${cookie}=${token}; ${attributes}${isSecure ? '; Secure' : ''}`]
  }

  /** A handler may have invalidated more by itself, and has waited for that. */
  #latest(receipt: LogPosition): LogPosition {
    const { position } = this.#parts.log
    return position.epoch === receipt.epoch && position.seq > receipt.seq ? position : receipt
  }

  /** Whether this process knows of all that came before the position; never rejects. */
  async reach(position: LogPosition): Promise<boolean> {
    if (position.epoch === '' || this.#waiting >= MAX_WAITING) return false
    this.#waiting++
    try {
      return await this.#parts.log.reach(position, this.#parts.maxWaitMs)
    } finally {
      this.#waiting--
    }
  }
}

interface Carried {
  readonly value: string
  readonly rest?: string | undefined
}

function fieldIn(fields: RequestFields, name: string): Carried | undefined {
  const value = fields[name]
  return typeof value === 'string' ? { value } : undefined
}

function cookieIn(field: RequestFields[string], name: string): Carried | undefined {
  return typeof field === 'string' ? takeCookie(field, name) : undefined
}
