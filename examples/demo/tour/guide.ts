import { styleText } from 'node:util'

export interface Answer {
  status: number
  headers: Headers
  /** What Cache-Status says, without the cache's name; empty where the cache had no part in it. */
  cache: string
  milliseconds: number
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface Sending {
  body?: unknown
  headers?: Record<string, string>
  /** Says nothing of it. */
  quietly?: boolean
}

/** A part of the tour: what is shown, and why it is so. */
export interface Chapter {
  title: string
  about: string
  /** Without Redis only the first answer is shown: a 503 that says why. */
  needsRedis?: { method: string; path: string; body?: unknown }
  walk(guide: Guide): Promise<void>
}

type Style = Parameters<typeof styleText>[0]

const INDENT = '  '
const PATIENCE_MS = 30_000

/** Sends requests, prints what came back, and notes what was not as announced. */
export class Guide {
  readonly url: string
  /** Part of names, so that one tour does not meet what another has left. */
  readonly visit: string = Date.now().toString(36)
  readonly complaints: string[] = []
  readonly #write: (text: string) => void
  readonly #paint: (style: Style, text: string) => string
  #requests = 0

  constructor(url: string, write: (text: string) => void, colours: boolean) {
    this.url = url
    this.#write = write
    this.#paint = colours ? styleText : (_style, text) => text
  }

  get requests(): number {
    return this.#requests
  }

  chapter(title: string, about: string): void {
    this.#line('')
    this.#line(this.#paint('bold', title))
    this.#line(this.#paint('dim', about))
  }

  /** Why it is as it was just seen. */
  says(text: string): void {
    this.#line(`${INDENT}${this.#paint('dim', `└ ${text}`)}`)
  }

  /** Says it when it is so, and notes a complaint when it is not. */
  shows(isSo: boolean, text: string): void {
    if (isSo) return this.says(text)
    this.complaints.push(text)
    this.#line(`${INDENT}${this.#paint('red', `✗ not so: ${text}`)}`)
  }

  get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('GET', path, { headers })
  }

  async send(method: string, path: string, sending: Sending = {}): Promise<Answer> {
    const { body, headers = {}, quietly = false } = sending
    const content = body === undefined ? undefined : JSON.stringify(body)
    const type = content === undefined ? {} : { 'content-type': 'application/json' }
    const startedAt = performance.now()
    const response = await fetch(`${this.url}${path}`, {
      method,
      headers: { ...type, ...headers },
      signal: AbortSignal.timeout(PATIENCE_MS),
      ...(content !== undefined && { body: content }),
    })
    const text = await response.text()
    const isJson = /json/.test(response.headers.get('content-type') ?? '')
    const answer: Answer = {
      status: response.status,
      headers: response.headers,
      cache: (response.headers.get('cache-status') ?? '').replace(/^[^;]*; /, ''),
      milliseconds: performance.now() - startedAt,
      body: isJson ? JSON.parse(text) : text,
    }
    this.#requests++
    if (!quietly) this.#show(method, path, answer)
    return answer
  }

  /** Asks, without a word, until it is so. */
  async until(isSo: () => Promise<boolean>, withinMs: number = PATIENCE_MS): Promise<boolean> {
    const lastLook = performance.now() + withinMs
    while (!(await isSo())) {
      if (performance.now() > lastLook) return false
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    return true
  }

  end(seconds: number): void {
    const count = `${this.#requests} requests in ${seconds.toFixed(1)} s`
    this.#line('')
    if (this.complaints.length === 0)
      this.#line(this.#paint('green', `All as announced: ${count}.`))
    else this.#line(this.#paint('red', `${this.complaints.length} not as announced; ${count}.`))
  }

  #show(method: string, path: string, { status, cache, milliseconds }: Answer): void {
    const colour = status < 300 ? 'green' : status < 500 ? 'yellow' : 'red'
    const cells = [
      this.#paint('cyan', `${method.padEnd(6)} ${path.padEnd(46)}`),
      this.#paint(colour, String(status)),
      `${milliseconds.toFixed(1).padStart(7)} ms`,
      this.#paint('magenta', cache),
    ]
    this.#line(`${INDENT}${cells.join('  ').trimEnd()}`)
  }

  #line(text: string): void {
    this.#write(`${text}\n`)
  }
}
