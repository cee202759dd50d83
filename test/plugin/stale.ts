// One cached route whose handler waits at a door, and a clock that the test moves.
import type { TestContext } from 'node:test'

import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'

import type { CacheClient, ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { type Answer, type Client, Door, type Setup, openDoor, start } from '../support/app.ts'
import { eventually } from '../support/clock.ts'

export type Answering = (run: number, request: FastifyRequest, reply: FastifyReply) => unknown

export interface SceneOptions {
  /** Of the plugin. */
  cache?: ResponseCacheOptions
  /** Of the route; fresh for ten seconds unless it says otherwise. */
  route?: RouteCacheOptions
  hooks?: RouteShorthandOptions
  /** What the handler answers; `run 1`, `run 2` … if left out. */
  answer?: Answering
  /** Called before the route is declared. */
  build?: (app: FastifyInstance) => unknown
  fastify?: Setup['fastify']
  /** Another process: it goes by the clock and the door of the first scene. */
  beside?: Scene
}

export class Scene {
  client!: Client
  app!: FastifyInstance
  /** Where the handler waits before it answers. */
  door: Door = openDoor()
  /** Handler runs that have begun. */
  runs = 0
  readonly #t: TestContext

  constructor(t: TestContext) {
    this.#t = t
  }

  get cache(): CacheClient {
    return this.app.cache
  }

  get(headers: Record<string, string> = {}): Promise<Answer> {
    // One host, whichever process it is.
    return this.client.get('/x', { host: 'shop.example', ...headers })
  }

  /** Moves the clock; it stands still otherwise. */
  pass(seconds: number): void {
    this.#t.mock.timers.tick(seconds * 1000)
  }

  /** Until Redis has what was stored: it answers in the order in which it was asked. */
  async written(): Promise<void> {
    await this.cache.redis?.ping()
  }

  /** From here on the handler waits. */
  shut(): Door {
    this.door = new Door()
    this.#t.after(() => this.door.open())
    return this.door
  }

  /** Until the cache answers with this text, fresh. */
  async refreshed(text: string): Promise<void> {
    await eventually(`${text} is stored`, async () => {
      const answer = await this.get()
      return answer.text === text && /; ttl=\d/.test(String(answer.headers['cache-status']))
    })
  }
}

export async function startScene(
  t: TestContext,
  { cache = {}, route = {}, hooks = {}, answer, build, fastify = {}, beside }: SceneOptions = {},
): Promise<Scene> {
  if (beside === undefined) t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  const scene = new Scene(t)
  const declare = async (app: FastifyInstance): Promise<void> => {
    scene.app = app
    await build?.(app)
    app.get(
      '/x',
      { ...hooks, config: { cache: { ttl: 10, tags: ['x'], ...route } } },
      async (request, reply) => {
        const run = ++scene.runs
        await (beside ?? scene).door.pass()
        return answer ? answer(run, request, reply) : `run ${run}`
      },
    )
  }
  scene.client = await start(t, declare, { cache, fastify })
  return scene
}
