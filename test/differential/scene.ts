// Two applications over one history of the database, asked the same, and one of them believed.
import assert from 'node:assert/strict'
import type { AddressInfo } from 'node:net'
import { mock } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import type { FastifyInstance } from 'fastify'

import type { ResponseCacheOptions } from '../../src/index.ts'
import type { Answer } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { Wire } from '../support/wire.ts'
import { LIFETIMES, STALE_NEWS, buildApplication } from './application.ts'
import { Database, PinnedView } from './database.ts'
import { type Question, allowed } from './oracle.ts'
import { type Late, type Step, textOf } from './requests.ts'

const START = 1_700_000_000_000
const WIRES = 9
const SETTLING_TURNS = 60
const WRITES = new Set(['PUT', 'POST', 'DELETE', 'PATCH'])

/** The applications with the cache: one, or several that share a Redis. */
export type Instances = readonly ResponseCacheOptions[]

export class Scene {
  readonly #database = new Database()
  readonly #pinned = new PinnedView(this.#database)
  readonly #apps: FastifyInstance[] = []
  readonly #known = new Map<string, string>()
  readonly #answers = new Map<string, Answer>()
  readonly #told: Tally
  #cached: FastifyInstance[] = []
  #wires: Wire[] = []
  #toPlain!: Wire
  /** The last version whose writer has its answer. */
  #committed = 0

  constructor(told: Tally) {
    this.#told = told
  }

  async open(instances: Instances): Promise<void> {
    for (const options of instances) {
      this.#cached.push(await buildApplication(this.#database, options))
    }
    const plain = await buildApplication(this.#pinned, false)
    this.#apps.push(plain, ...this.#cached)
    for (const app of this.#apps) await app.listen({ port: 0, host: '127.0.0.1' })
    const [plainPort, ...ports] = this.#apps.map(portOf)
    this.#wires = Array.from(
      { length: WIRES },
      (_, index) => new Wire(ports[index % ports.length]!),
    )
    this.#toPlain = new Wire(plainPort!)
  }

  async close(): Promise<void> {
    for (const wire of [...this.#wires, this.#toPlain]) wire.close()
    await Promise.all(this.#apps.map((app) => app.close()))
  }

  async take(step: Step): Promise<void> {
    if ('ask' in step) await this.#askAll([{ request: step.ask, after: 0 }], step.of)
    else if ('together' in step) await this.#askAll(step.together, 0)
    else if ('pass' in step) await this.#pass(step.pass)
    else await this.#forget(step.forget)
  }

  /** What goes on behind an answer is over before the clock moves: it takes no seconds. */
  async #pass(milliseconds: number): Promise<void> {
    for (let turn = 0; turn < SETTLING_TURNS; turn++) await later()
    mock.timers.tick(milliseconds)
  }

  async #forget(what: 'all' | 'route' | 'url'): Promise<void> {
    const { cache } = this.#cached[0]!
    if (what === 'all') await cache.clear()
    else if (what === 'route') await cache.invalidateRoute('/items/:id')
    else await cache.invalidateUrl('/items/1')
  }

  /** Answers are judged when all are there: asking the plain application would disturb the others. */
  async #askAll(requests: readonly Late[], of: number): Promise<void> {
    const asked = await Promise.all(requests.map((late, index) => this.#ask(late, of + index)))
    for (const [question, answer] of asked) await this.#check(question, answer)
  }

  async #ask({ request, after }: Late, of: number): Promise<[Question, Answer]> {
    for (let turn = 0; turn < after; turn++) await later()
    const { method, target } = request
    const text = textOf(request, this.#known.get(target))
    const oldest = Math.min(this.#committed, this.#oldestOf(target))
    const answer = await this.#wires[of % WIRES]!.ask(text)
    const newest = this.#database.version
    if (answer.headers.etag !== undefined) this.#known.set(target, answer.headers.etag)
    // One write at a time: when its writer is answered, its version and all before it count.
    if (WRITES.has(method) && answer.status < 300) this.#committed = newest
    return [{ text, oldest, newest }, answer]
  }

  /** What a lifetime permits where nothing is invalidated. */
  #oldestOf(target: string): number {
    if (!target.startsWith('/news')) return Infinity
    const stale = target.startsWith('/news/stale') ? STALE_NEWS : 0
    return this.#database.versionAt(Date.now() - (LIFETIMES.news + stale) * 1000)
  }

  async #check(question: Question, answer: Answer): Promise<void> {
    this.#told.count(question, answer)
    const plain = (text: string, version: number): Promise<Answer> => this.#plain(text, version)
    if ((await allowed(question, answer, plain)) !== undefined) return
    const { text, oldest, newest } = question
    const shown = [`no rule allows this answer, asked at versions ${oldest} to ${newest}:`, text]
    shown.push(show(answer))
    for (let version = newest; version >= oldest; version--) {
      shown.push(`the plain application at version ${version}:`, show(await plain(text, version)))
    }
    assert.fail(shown.join('\n'))
  }

  async #plain(text: string, version: number): Promise<Answer> {
    const asked = `${version} ${text}`
    let answer = this.#answers.get(asked)
    if (answer === undefined) {
      this.#pinned.version = version
      answer = await this.#toPlain.ask(text)
      this.#answers.set(asked, answer)
    }
    return answer
  }
}

function portOf({ server }: FastifyInstance): number {
  return (server.address() as AddressInfo).port
}

function show({ status, rawHeaders, text }: Answer): string {
  return [`${status}`, ...rawHeaders, '', text.slice(0, 300)].join('\n')
}

/** What all runs together have met. */
export class Tally {
  readonly counts: Record<string, number> = {}
  /** Of what a whole run has to show, when there was no time for all of it. */
  share = 1

  count({ text }: Question, answer: Answer): void {
    const seen = ['requests', `status ${answer.status}`]
    if (answer.headers['cache-status'] !== undefined) {
      const { hit, fwd, stored, collapsed, ttl } = statusOf(answer)
      if (hit) seen.push('hits', `hits of ${text.split(' ', 1)[0]}`, `hits with ${answer.status}`)
      if (ttl !== undefined && ttl < 0) seen.push('stale hits')
      if (stored) seen.push('stored')
      if (collapsed) seen.push('collapsed')
      if (fwd) seen.push(`forwarded: ${fwd}`)
    }
    for (const what of seen) this.counts[what] = (this.counts[what] ?? 0) + 1
  }

  /** Less than this, and the runs would not have looked. */
  assertAtLeast(least: Record<string, number>): void {
    for (const [what, count] of Object.entries(least)) {
      const due = Math.floor(count * this.share)
      assert.ok((this.counts[what] ?? 0) >= due, `${what}: ${this.counts[what] ?? 0} of ${due}`)
    }
  }
}

/** Runs the steps in applications of their own, from an empty cache and the first version on. */
export async function run(
  steps: readonly Step[],
  told: Tally,
  instances: Instances,
): Promise<void> {
  mock.timers.enable({ apis: ['Date'], now: START })
  const scene = new Scene(told)
  try {
    await scene.open(instances)
    for (const step of steps) await scene.take(step)
  } finally {
    await scene.close()
    mock.timers.reset()
  }
}
