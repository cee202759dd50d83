// A Fastify application with a Revalidator beside it and no cache: what a background refresh is to an
// application, and nothing else.
import type { TestContext } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'

import { type RefreshContext, type RefreshRequest, refreshOf } from '../../src/refresh-request.ts'
import { Revalidator, type RevalidatorOptions } from '../../src/revalidator.ts'
import { TestClock, eventually } from './clock.ts'

export interface Refreshing {
  app: FastifyInstance
  clock: TestClock
  revalidator: Revalidator
  /** What was reported, in order. */
  troubles: string[]
  /** Starts a refresh of `/`, or of what is given, under the key `key`. */
  start: (request?: Partial<RefreshRequest>, key?: string) => RefreshContext | undefined
  /** Makes one from beginning to end. */
  run: (request?: Partial<RefreshRequest>) => Promise<RefreshContext>
  /** Waits until none is under way. */
  idle: () => Promise<void>
}

export async function refreshingApp(
  t: TestContext,
  build: (app: FastifyInstance) => unknown,
  {
    fastify = {},
    ...options
  }: Partial<RevalidatorOptions> & { fastify?: FastifyServerOptions } = {},
): Promise<Refreshing> {
  const app = Fastify(fastify)
  await build(app)
  t.after(() => app.close())
  await app.ready()
  const clock = new TestClock()
  const troubles: string[] = []
  const revalidator = new Revalidator({
    dispatch: (raw, response) => app.routing(raw, response),
    now: clock.now,
    onTrouble: (operation, error) => troubles.push(`${operation}: ${error.message}`),
    ...options,
  })
  t.after(() => revalidator.close())
  const start: Refreshing['start'] = (request, key = 'key') => {
    const context: RefreshContext = { key }
    return revalidator.refresh(key, refreshRequest(request), context) ? context : undefined
  }
  const idle = (): Promise<void> =>
    eventually('no refresh is under way', () => revalidator.running === 0)
  const run: Refreshing['run'] = async (request) => {
    const context = start(request)
    if (context === undefined) throw new Error('the refresh was refused')
    await idle()
    return context
  }
  return { app, clock, revalidator, troubles, start, run, idle }
}

export function refreshRequest(request: Partial<RefreshRequest> = {}): RefreshRequest {
  return {
    url: '/',
    host: 'example.com',
    protocol: 'http',
    remoteAddress: '192.0.2.1',
    headers: {},
    ...request,
  }
}

/** What the cache does when it has stored the answer. */
export function markStored({ raw }: { raw: object }): void {
  const context = refreshOf(raw)
  if (context !== undefined) context.stored = true
}
