// Requests as clients send them: some products are asked for much more often than others, some are
// changed. And what a client can see of a cache: an answer from before a write that was done already.

export interface Seen {
  requests: number
  failed: number
  /** Answers from before a write that had been answered when they were asked for. */
  stale: number
  /** For how long after such a write its old state was still given; the longest. */
  stalestMs: number
}

const CLIENTS = 16
const PRODUCTS = 1000
const PATIENCE_MS = 5000
/** Writes that are remembered of each product. */
const REMEMBERED = 50

export class Traffic {
  readonly total: Seen = nothing()
  readonly byProcess = new Map<number, Seen>()
  readonly #url: string
  readonly #writes = new Map<string, { version: number; doneAt: number }[]>()
  readonly #stop = new AbortController()

  constructor(url: string) {
    this.#url = url
    for (let client = 0; client < CLIENTS; client++) void this.#live(client)
  }

  end(): void {
    this.#stop.abort()
  }

  async #live(client: number): Promise<void> {
    while (!this.#stop.signal.aborted) {
      // The first client writes, the others read.
      const doing = client === 0 ? this.#write() : this.#read()
      await doing.catch(() => {
        if (!this.#stop.signal.aborted) this.total.failed++
      })
      await new Promise((resolve) => setTimeout(resolve, (client === 0 ? 400 : 60) * Math.random()))
    }
  }

  async #read(): Promise<void> {
    const path = Math.random() < 0.1 ? '/products' : `/products/${popular()}`
    const startedAt = performance.now()
    const [process, answer] = await this.#ask(path)
    const products = Array.isArray(answer) ? answer : [answer]
    const staleMs = Math.max(...products.map((product) => this.#staleMs(product, startedAt)))
    for (const seen of [this.total, this.#seenOf(process)]) {
      seen.requests++
      if (staleMs <= 0) continue
      seen.stale++
      seen.stalestMs = Math.max(seen.stalestMs, staleMs)
    }
  }

  async #write(): Promise<void> {
    const path = `/products/${popular()}`
    const [, { id, version }] = await this.#ask(path, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ price: Math.ceil(Math.random() * 100) }),
    })
    const writes = this.#writes.get(id) ?? []
    this.#writes.set(id, writes)
    writes.push({ version, doneAt: performance.now() })
    if (writes.length > REMEMBERED) writes.shift()
    this.total.requests++
  }

  // oxlint-disable-next-line typescript/no-explicit-any
  async #ask(path: string, init: RequestInit = {}): Promise<[process: number, answer: any]> {
    const signal = AbortSignal.any([this.#stop.signal, AbortSignal.timeout(PATIENCE_MS)])
    const response = await fetch(this.#url + path, { ...init, signal })
    const answer: unknown = await response.json()
    if (!response.ok) throw new Error(`${path} was answered with ${response.status}`)
    return [Number(response.headers.get('x-process')), answer]
  }

  /** How long before this request the first write was done that its answer does not know of. */
  #staleMs({ id, version }: { id: string; version: number }, startedAt: number): number {
    const missed = this.#writes.get(id)?.find((write) => write.version > version)
    return missed === undefined ? 0 : startedAt - missed.doneAt
  }

  #seenOf(process: number): Seen {
    const seen = this.byProcess.get(process) ?? nothing()
    this.byProcess.set(process, seen)
    return seen
  }
}

function nothing(): Seen {
  return { requests: 0, failed: 0, stale: 0, stalestMs: 0 }
}

/** Zipf's law, nearly: the n-th product is asked for 1/n as often as the first. */
function popular(): number {
  return Math.floor((PRODUCTS + 1) ** Math.random())
}
