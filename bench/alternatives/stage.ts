import { setTimeout as sleep } from 'node:timers/promises'

import { TestProcess } from '../../test/support/processes.ts'
import { PORTS, type RedisServer, startRedis } from '../../test/support/redis.ts'
import { type Answer, type Ask, PATIENCE_MS, ask } from './client.ts'
import type { Place } from './adapter.ts'
import type { Peer } from './peers.ts'
import type { SiteOptions } from './site.ts'
import { Truth } from './truth.ts'

const START_MS = 15_000
export const SETTLED_MS = 300

/** Answers with what went wrong, in words that may stand in the table. */
export class Outcome extends Error {}

export class Site {
  readonly #process: TestProcess
  readonly port: number

  constructor(process: TestProcess, port: number) {
    this.#process = process
    this.port = port
  }

  get output(): string {
    return this.#process.output
  }

  /** `undefined`: no answer within ten seconds. */
  async try(path: string, options?: Ask): Promise<Answer | undefined> {
    try {
      return await ask(this.port, path, options)
    } catch (error) {
      await sleep(100)
      const { exitCode, signalCode } = this.#process.process
      if (exitCode !== null || signalCode !== null) throw new Outcome('the process ends')
      throw error
    }
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    const answer = await this.try(path, { headers })
    if (answer === undefined) throw new Outcome(`no answer in ${PATIENCE_MS / 1000} s`)
    return answer
  }

  async text(path: string, headers?: Record<string, string>): Promise<string> {
    return (await this.get(path, headers)).body.toString()
  }

  /** The first time: what stores behind its answer has time for it. */
  async fill(path: string, headers?: Record<string, string>): Promise<Answer> {
    const answer = await this.get(path, headers)
    await sleep(SETTLED_MS)
    return answer
  }

  /** A write, with the invalidation after it. */
  async put(path: string): Promise<void> {
    const answer = await this.try(path, { method: 'PUT' })
    if (answer?.status !== 204) throw new Outcome(`the write: ${answer?.status ?? 'no answer'}`)
  }

  ask<T>(name: string): Promise<T> {
    return this.#process.ask<T>(name)
  }

  stop(): Promise<void> {
    return this.#process.stop()
  }
}

/** What one check of one peer runs on; everything is new, and ends with it. */
export class Stage {
  readonly peer: Peer
  readonly truth = new Truth()
  readonly entries: number
  readonly #sites: Site[] = []
  #redis: RedisServer | undefined

  constructor(peer: Peer, entries: number) {
    this.peer = peer
    this.entries = entries
  }

  async redis(): Promise<RedisServer> {
    return (this.#redis ??= await startRedis())
  }

  /** Two processes on one Redis. */
  async sites(): Promise<[Site, Site]> {
    return [await this.site({ several: true }), await this.site({ several: true })]
  }

  /** A process with the peer set up; all of them use the same Redis, unless told otherwise. */
  async site(place: Partial<Place> = {}, peer: string = this.peer.name): Promise<Site> {
    const redisUrl = place.redisUrl ?? (await this.redis()).url
    const options: SiteOptions = {
      peer,
      place: { several: false, client: {}, ...place, redisUrl },
    }
    const module = new URL('./site.js', import.meta.url).pathname
    const starting = TestProcess.start(module, options, {
      read: (name: string) => this.truth.read(name),
    })
    const late = sleep(START_MS, undefined, { ref: false })
    const process = await Promise.race([starting, late])
    if (process === undefined) {
      starting.then((slow) => slow.stop()).catch(() => {})
      throw new Outcome(`does not start in ${START_MS / 1000} s`)
    }
    const site = new Site(process, await process.ask<number>('port'))
    this.#sites.push(site)
    return site
  }

  /** Nothing listens there. */
  static nobody(): string {
    return `redis://127.0.0.1:${PORTS[0] - 1}`
  }

  async end(): Promise<void> {
    this.truth.release()
    await Promise.all(this.#sites.map((site) => site.stop()))
    await this.#redis?.stop()
  }
}
