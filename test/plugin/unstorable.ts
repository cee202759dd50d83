// One kind of answer that must never be stored: the client gets what the handler said, the next
// request runs the handler again, those who waited too, and Cache-Status names the reason.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import type { FastifyInstance, FastifyReply, FastifyRequest, RouteShorthandOptions } from 'fastify'

import type { RouteCacheOptions } from '../../src/index.ts'
import { assertNotStored, statusOf } from '../support/assert-status.ts'
import { type Answer, Door, type Setup, lastingHeaders, start } from '../support/app.ts'

export interface Unstorable {
  title: string
  /** The detail of Cache-Status; `undefined` where the answer cannot carry the field. */
  reason: string | undefined
  handler: (request: FastifyRequest, reply: FastifyReply) => unknown
  /** Before the cache is registered. */
  before?: (app: FastifyInstance) => unknown
  /** After the cache is registered, before the route is declared. */
  after?: (app: FastifyInstance) => unknown
  /** After the route is declared. */
  late?: (app: FastifyInstance) => unknown
  cache?: RouteCacheOptions
  route?: RouteShorthandOptions
  setup?: Setup
  headers?: Record<string, string>
  /** Headers that differ from answer to answer by themselves. */
  varying?: string[]
}

const FOLLOWERS = 4

function essence(answer: Answer, varying: readonly string[]): unknown {
  const headers = lastingHeaders(answer)
  for (const name of varying) delete headers[name]
  return { status: answer.status, headers, text: answer.text, trailers: answer.trailers }
}

async function startCase(
  t: Parameters<typeof start>[0],
  kind: Unstorable,
  withCache: boolean,
): Promise<{ get: () => Promise<Answer>; runs: () => number; door: Door }> {
  const door = new Door()
  let runs = 0
  const options: Setup = { ...kind.setup, ...(kind.before ? { before: kind.before } : {}) }
  const client = await start(
    t,
    async (app) => {
      await kind.after?.(app)
      const cache = { ttl: '1h', ...kind.cache }
      app.get('/x', {
        ...kind.route,
        config: { cache },
        preHandler: async () => door.pass(),
        handler: (request, reply) => {
          runs++
          return kind.handler(request, reply)
        },
      })
      await kind.late?.(app)
    },
    withCache ? options : { ...options, cache: false },
  )
  return { get: () => client.get('/x', kind.headers), runs: () => runs, door }
}

export function testUnstorable(kind: Unstorable): void {
  const { title, reason, varying = [] } = kind
  test(`${title} is not stored (${reason ?? 'without a status'})`, async (t) => {
    const plain = await startCase(t, kind, false)
    plain.door.open()
    const expected = essence(await plain.get(), varying)
    const cached = await startCase(t, kind, true)
    // A leader and those who wait for it: they pass the gates together.
    const together = Array.from({ length: 1 + FOLLOWERS }, () => cached.get())
    await cached.door.reached(1 + FOLLOWERS)
    cached.door.open()
    const answers = [...(await Promise.all(together)), await cached.get()]
    for (const answer of answers) {
      assert.deepEqual(essence(answer, varying), expected)
      if (reason !== undefined) assertNotStored(answer, reason)
      else if (answer.headers['cache-status']) assert.notEqual(statusOf(answer).stored, true)
    }
    assert.equal(cached.runs(), answers.length, 'each request ran the handler')
  })
}
