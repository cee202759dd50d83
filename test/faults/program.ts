// An application in a process of its own, to see whether it ends by itself.
import { Readable } from 'node:stream'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance } from 'fastify'
import { Redis } from 'ioredis'

import responseCache, { isRefresh } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'
import { serveTest } from '../support/processes.ts'

export interface ProgramStart {
  redis: string | undefined
  /** The application opens the client, as a user would, and closes it after the application. */
  ownClient?: boolean
}

export interface Closed {
  tookMs: number
  /** What was asked before it closed, and has its whole answer. */
  answered: string[]
}

let app: FastifyInstance
let own: Redis | undefined
let refreshes = 0
let arrived = 0
const never = new Promise<never>(() => {})

async function* chunks(): AsyncGenerator<string> {
  for (let n = 0; n < 10; n++) yield await pause(30, `${n}`)
}

function routes(): void {
  app.addHook('onRequest', async () => {
    arrived++
  })
  app.get('/', { config: { cache: true } }, async () => 'answered')
  app.get('/slow', { config: { cache: true } }, async () => {
    await pause(300)
    return 'slow'
  })
  app.get('/stream', { config: { cache: true } }, async () => Readable.from(chunks()))
  app.get('/never', { config: { cache: true } }, () => never)
  const stale = { ttl: 0.001, staleWhileRevalidate: '1h' } as const
  app.get('/stale', { config: { cache: stale } }, async (request) => {
    if (!isRefresh(request)) return 'stale'
    refreshes++
    return never
  })
}

const { hangUp } = serveTest({
  start: async ({ redis, ownClient }: ProgramStart): Promise<void> => {
    app = Fastify()
    if (ownClient) own = new Redis(redis!).on('error', () => {})
    await app.register(responseCache, {
      ...(redis === undefined ? {} : { redis: own ?? redis, namespace: 'shop' }),
      defaults: { ttl: '1h' },
    })
    routes()
    await app.listen({ port: 0, host: '127.0.0.1' })
  },
  get: async (url: string) => (await app.inject(url)).body,
  /** Background refreshes that have begun; none of them ever ends. */
  refreshes: () => refreshes,
  /** Closes in the middle of things, and says how long it took. */
  close: async (): Promise<Closed> => {
    const { port } = app.server.address() as { port: number }
    const answered: string[] = []
    const ask = async (path: string): Promise<void> => {
      const answer = await fetch(`http://127.0.0.1:${port}${path}`, {
        headers: { connection: 'close' },
      })
      answered.push(await answer.text())
    }
    arrived = 0
    const busy: Promise<unknown>[] = [ask('/slow'), ask('/slow'), ask('/slow'), ask('/stream')]
    // Nobody waits for these; who waits for another's run is let go.
    for (let n = 0; n < 3; n++) void app.inject('/never')
    await eventually('all have come', () => arrived === busy.length + 3)
    busy.push(
      app.cache.getOrSet('key', () => pause(200, 'made')),
      app.cache.invalidateTags(['a']).catch(() => {}),
      app.cache.set('b', 1).catch(() => {}),
    )
    const start = performance.now()
    await app.close()
    const tookMs = performance.now() - start
    own?.disconnect()
    await Promise.all(busy)
    return { tookMs, answered: answered.sort() }
  },
  /** What keeps the process alive, but for the line to the test. */
  resources: () => process.getActiveResourcesInfo().filter((name) => name !== 'PipeWrap'),
  leave: () => void setImmediate(hangUp),
})
