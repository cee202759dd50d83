import { Readable } from 'node:stream'
import type { FastifyInstance } from 'fastify'

import { KEYS, ownConnection } from '../redis-pattern.ts'

export const CHANNEL = `${KEYS}events`

const HEARTBEAT_MS = 15_000
/** A client that reads so slowly is let go; it comes back by itself. */
const MAX_BUFFERED = 64 * 1024
const MAX_LISTENERS = 1000

/** One subscription to Redis for all the clients of this process. */
export class Subscription {
  readonly #listeners = new Set<Readable>()

  static async open(app: FastifyInstance): Promise<Subscription | undefined> {
    // In subscriber mode a connection takes no other command; it subscribes again when it was lost.
    const redis = ownConnection(app, { maxRetriesPerRequest: null, enableOfflineQueue: true })
    if (redis === undefined) return undefined
    const subscription = new Subscription()
    redis.on('message', (_channel: string, data: string) => subscription.#send(`data: ${data}\n\n`))
    void redis.subscribe(CHANNEL).catch((error: unknown) => app.log.warn(error, 'no events'))
    // So that proxies and clients see that the connection lives.
    const heartbeat = setInterval(() => subscription.#send(': still here\n\n'), HEARTBEAT_MS)
    app.addHook('preClose', async () => {
      clearInterval(heartbeat)
      for (const stream of subscription.#listeners) stream.push(null)
    })
    return subscription
  }

  /** Undefined when there are too many. Ends when the client goes away, or the application. */
  listen(): Readable | undefined {
    if (this.#listeners.size >= MAX_LISTENERS) return undefined
    const stream = new Readable({ read: () => {} })
    this.#listeners.add(stream)
    stream.on('close', () => this.#listeners.delete(stream))
    stream.push('retry: 1000\n: what is published from now on\n\n')
    return stream
  }

  #send(text: string): void {
    for (const stream of this.#listeners) {
      if (stream.readableLength > MAX_BUFFERED) stream.destroy()
      else stream.push(text)
    }
  }
}
