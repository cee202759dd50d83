// Several applications on one Redis: to each other they are processes of a fleet, and the test sees
// into all of them. Their handlers stand at one door.
import type { TestContext } from 'node:test'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { type Answer, type Client, Door, openDoor, start } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { overRedis, sharedRedis } from '../support/tiers.ts'

export interface FleetOptions {
  processes?: number
  /** Of the plugin. */
  cache?: ResponseCacheOptions
  /** Of the route; its runs are for all processes unless it says otherwise. */
  route?: RouteCacheOptions
  /** What the handler answers after the door; `run 1`, `run 2` … if left out. */
  answer?: (run: number, request: FastifyRequest, reply: FastifyReply) => unknown
  build?: (app: FastifyInstance) => unknown
}

export class FleetScene {
  readonly clients: Client[] = []
  readonly apps: FastifyInstance[] = []
  namespace = ''
  door: Door = openDoor()
  runs = 0

  /** By the process with this number; one host, whichever it is. */
  get(at: number, headers: Record<string, string> = {}): Promise<Answer> {
    return this.clients[at]!.get('/x', { host: 'shop.example', ...headers })
  }

  /** One request for each process. */
  getAll(headers: Record<string, string> = {}): Promise<Answer>[] {
    return this.clients.map((_, at) => this.get(at, headers))
  }

  /** From here on handlers wait. */
  shut(t: TestContext): Door {
    const door = new Door()
    t.after(() => door.open())
    return (this.door = door)
  }

  waiting(): number {
    return this.apps.reduce((sum, app) => sum + app.cache.stats().fleet!.waiting, 0)
  }

  leases(): number {
    return this.apps.reduce((sum, app) => sum + app.cache.stats().fleet!.leases, 0)
  }

  /** Until so many processes wait for another. */
  async waited(count: number): Promise<void> {
    await eventually(`${count} processes wait`, () => this.waiting() === count)
  }

  /** Until Redis holds no lease of theirs. */
  async released(): Promise<void> {
    const raw = (await sharedRedis()).client()
    await eventually('no lease is left', async () => {
      return (await raw.keys(`${this.namespace}#l:*`)).length === 0
    })
  }

  /** What was not meant to happen, in all processes. */
  failures(): Record<string, number> {
    return Object.assign({}, ...this.apps.map((app) => app.cache.stats().failures)) as Record<
      string,
      number
    >
  }
}

export async function startFleet(t: TestContext, options: FleetOptions = {}): Promise<FleetScene> {
  const { processes = 3, route = {}, answer, build } = options
  const scene = new FleetScene()
  const cache = await overRedis(options.cache)
  scene.namespace = cache.namespace!
  for (let at = 0; at < processes; at++) {
    const declare = async (app: FastifyInstance): Promise<void> => {
      scene.apps.push(app)
      await build?.(app)
      app.get(
        '/x',
        { config: { cache: { coalesce: { fleet: true }, tags: ['x'], ...route } } },
        async (request, reply) => {
          const run = ++scene.runs
          await scene.door.pass()
          return answer ? answer(run, request, reply) : `run ${run}`
        },
      )
    }
    scene.clients.push(await start(t, declare, { cache }))
  }
  return scene
}
