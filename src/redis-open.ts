import fastifyRedis, { type FastifyRedisPluginOptions } from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import type { Redis, RedisOptions } from 'ioredis'

/** How long start-up waits for a Redis that does not answer; requests are served without it then. */
const START_MS = 1000
const QUIT_MS = 500
const REVIVE_MS = 1000
/** From the connection until the server says that it is ready. */
const READY_MS = 5000

/** What a client of our own is like; the user's options come on top. */
const OWN_OPTIONS: RedisOptions = {
  enableAutoPipelining: true,
  // While there is no connection a command is better refused at once than kept for later.
  enableOfflineQueue: false,
  maxRetriesPerRequest: 1,
  connectTimeout: 2000,
  retryStrategy: (times) => Math.min(50 * times, 1000),
}
/** How often the address is looked up again because a replica answers at it. */
const MOVE_MS = 1000

/**
 * A master may become a replica and cut no connection; its name, or what balances the load, leads to
 * the new one, and nobody but a new connection asks for it.
 */
function reconnectFromReplica(): NonNullable<RedisOptions['reconnectOnError']> {
  let movedAt = -Infinity
  return (error) => {
    const now = performance.now()
    if (!error.message.startsWith('READONLY') || now - movedAt < MOVE_MS) return false
    movedAt = now
    return true
  }
}

/**
 * Opens a client through @fastify/redis in a scope of its own, so that `app.redis` stays free for
 * the application. That plugin waits until Redis is ready; this one does not let it wait for ever.
 */
export async function openRedis(
  app: FastifyInstance,
  name: string,
  redis: string | RedisOptions,
  onError: (error: Error) => void,
): Promise<Redis> {
  const namespace = `fastify-response-cache:${name}`
  let closing = false
  app.addHook('preClose', (done) => {
    closing = true
    done()
  })
  let client: Redis | undefined
  const given = typeof redis === 'string' ? { url: redis } : redis
  const options = {
    ...OWN_OPTIONS,
    reconnectOnError: reconnectFromReplica(),
    ...given,
    namespace,
  } as FastifyRedisPluginOptions
  await app.register(async (scope) => {
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, START_MS)
      fastifyRedis(scope, options, (error) => {
        clearTimeout(timer)
        if (error) onError(error)
        resolve()
      })
      client = (scope.redis as unknown as Record<string, Redis> | undefined)?.[namespace]
      // At once: a wrong password or an unknown host makes that plugin quit the client.
      if (client === undefined) resolve()
      else supervise(client, onError, () => closing)
    })
  })
  if (client === undefined) throw new Error('@fastify/redis did not open a client')
  return client
}

/**
 * Makes quitting bounded and quiet, and brings a client back that gave up while it is needed, or that
 * is connected to somebody who says nothing.
 */
function supervise(client: Redis, onError: (error: Error) => void, isClosing: () => boolean): void {
  client.on('error', onError)
  const quit = client.quit.bind(client)
  client.quit = async () => {
    if (client.status === 'ready') {
      const late = new Promise((resolve) => setTimeout(resolve, QUIT_MS).unref())
      await Promise.race([quit().catch(() => {}), late])
    }
    client.disconnect()
    return 'OK'
  }
  let waiting: NodeJS.Timeout | undefined
  client.on('connect', () => {
    waiting = setTimeout(() => client.disconnect(true), READY_MS).unref()
  })
  for (const event of ['ready', 'close']) client.on(event, () => clearTimeout(waiting))
  client.on('end', () => {
    if (isClosing()) return
    setTimeout(() => {
      if (!isClosing() && client.status === 'end') client.connect().catch(() => {})
    }, REVIVE_MS).unref()
  })
}
