import type { Problem, State, Tick } from '../messages.ts'

export type Connection = 'connecting' | 'live' | 'late' | 'reconnecting'

interface Listener {
  state(state: State): void
  tick(tick: Tick): void
  /** How the connection stands; the detail is what the server says of it. */
  connection(connection: Connection, detail?: string): void
}

const RETRY_MS = 2000
const WATCH_MS = 1000
const MIN_PATIENCE_MS = 4000

/** Server-Sent Events that come again by themselves, whatever ended them. */
export class Feed {
  readonly #listener: Listener
  #source: EventSource | undefined
  #retry: number | undefined
  #cache: string | undefined
  #lastAt = 0
  #intervalMs = 1000
  #connection: Connection = 'connecting'

  constructor(listener: Listener) {
    this.#listener = listener
    window.setInterval(() => this.#watch(), WATCH_MS)
  }

  open(cache: string | undefined): void {
    this.#cache = cache
    this.#say('connecting')
    this.#connect()
  }

  #connect(): void {
    window.clearTimeout(this.#retry)
    this.#source?.close()
    const source = new EventSource(streamOf(this.#cache))
    this.#source = source
    source.addEventListener('state', ({ data }) => this.#hear('state', data))
    source.addEventListener('tick', ({ data }) => this.#hear('tick', data))
    source.addEventListener('error', () => {
      this.#say('reconnecting')
      // After an answer that is no stream the browser gives up; this does not.
      if (source.readyState === EventSource.CLOSED) void this.#ask(source)
    })
  }

  #hear(kind: 'state' | 'tick', data: string): void {
    const now = performance.now()
    if (kind === 'tick' && this.#lastAt > 0) this.#intervalMs = now - this.#lastAt
    this.#lastAt = now
    this.#say('live')
    if (kind === 'state') this.#listener.state(JSON.parse(data) as State)
    else this.#listener.tick(JSON.parse(data) as Tick)
  }

  /** Why there is no stream, which EventSource does not tell; then once more. */
  async #ask(source: EventSource): Promise<void> {
    const detail = await reasonOf(this.#cache)
    if (source !== this.#source) return
    if (detail !== undefined) this.#listener.connection('reconnecting', detail)
    this.#retry = window.setTimeout(() => this.#connect(), RETRY_MS)
  }

  /** A connection can be open and silent: a frozen process, a proxy that keeps what it gets. */
  #watch(): void {
    if (this.#connection !== 'live') return
    const patienceMs = Math.max(MIN_PATIENCE_MS, 3 * this.#intervalMs)
    if (performance.now() - this.#lastAt > patienceMs) this.#say('late')
  }

  #say(connection: Connection): void {
    if (this.#connection === connection) return
    this.#connection = connection
    this.#listener.connection(connection)
  }
}

async function reasonOf(cache: string | undefined): Promise<string | undefined> {
  const stop = new AbortController()
  try {
    const response = await fetch(streamOf(cache), { signal: stop.signal })
    if (response.ok) return undefined
    const { message } = (await response.json()) as Problem
    return `${response.status}: ${message}`
  } catch {
    return undefined
  } finally {
    stop.abort()
  }
}

function streamOf(cache: string | undefined): string {
  const query = cache === undefined ? '' : `?${new URLSearchParams({ cache })}`
  return `api/events${query}`
}
