import { Pool } from 'undici'

import type { City } from '../cities/schemas.ts'
import type { Asked, Mix } from './mix.ts'
import { Tally } from './tally.ts'

/** So many wait for their answers, each on its own connection: a hit does not queue behind a miss. */
const MOST_WAITING = 32
const TICK_MS = 20
const PATIENCE_MS = 10_000

/** Sends at a rate, whether or not answers come; what comes is counted. */
export class Sender {
  readonly total = new Tally()
  /** Since somebody took it. */
  recent = new Tally()
  /** Requests that were not sent, because too many waited for their answers. */
  leftOut = 0
  readonly #pool: Pool
  readonly #waiting = new Set<Promise<void>>()
  #isOver = false
  #timer: NodeJS.Timeout | undefined

  constructor(url: string) {
    this.#pool = new Pool(url, {
      connections: MOST_WAITING,
      headersTimeout: PATIENCE_MS,
      bodyTimeout: PATIENCE_MS,
    })
  }

  /** The largest cities, which are the most popular; throws where no demo answers. */
  async cities(): Promise<City[]> {
    const answer = await this.#pool.request({ method: 'GET', path: '/cities?size=100' })
    const text = await answer.body.text()
    const body = answer.statusCode === 200 ? (JSON.parse(text) as { cities?: City[] }) : {}
    if (!Array.isArray(body.cities) || body.cities.length === 0) {
      throw new Error(`/cities was answered with ${answer.statusCode}, and not as the demo does`)
    }
    return body.cities
  }

  begin(mix: Mix, rate: number): void {
    const startedAt = performance.now()
    let sent = 0
    this.#timer = setInterval(() => {
      const due = Math.floor(((performance.now() - startedAt) / 1000) * rate)
      for (; sent < due; sent++) {
        if (this.#waiting.size >= MOST_WAITING) this.leftOut++
        else this.#send(mix)
      }
    }, TICK_MS)
  }

  takeRecent(): Tally {
    const taken = this.recent
    this.recent = new Tally()
    return taken
  }

  /** What waits for an answer gets a moment for it. */
  async end(): Promise<void> {
    clearInterval(this.#timer)
    const late = setTimeout(() => void this.#cutOff(), 1000)
    await Promise.allSettled(this.#waiting)
    clearTimeout(late)
    await this.#cutOff()
  }

  async #cutOff(): Promise<void> {
    this.#isOver = true
    await this.#pool.destroy()
  }

  #send(mix: Mix): void {
    const asked = mix.next()
    const work = this.#ask(asked, mix)
      .catch(() => {
        if (this.#isOver) return
        for (const tally of [this.total, this.recent]) tally.fail()
      })
      .finally(() => this.#waiting.delete(work))
    this.#waiting.add(work)
  }

  async #ask(asked: Asked, mix: Mix): Promise<void> {
    const { method, path, headers, body } = asked
    const startedAt = performance.now()
    const answer = await this.#pool.request({
      ...{ method, path },
      headers: body === undefined ? headers : { ...headers, 'content-type': 'application/json' },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    await answer.body.dump()
    const field = (name: string): string | undefined => answer.headers[name]?.toString()
    const answered = {
      status: answer.statusCode,
      cacheStatus: field('cache-status') ?? '',
      milliseconds: performance.now() - startedAt,
    }
    for (const tally of [this.total, this.recent]) tally.add(asked, answered)
    if (method === 'GET' && answer.statusCode === 200) mix.keep(path, field('etag'))
  }
}
