// An application with the cache and the same without it, asked over raw sockets. The one without says
// what each request is answered with; whatever else the other answers belongs to somebody else.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { FastifyInstance, FastifyRequest } from 'fastify'

import { type Answer, type Setup, startBoth } from '../support/app.ts'
import { assertHit, statusOf } from '../support/assert-status.ts'
import { type Wire, requestText, wireTo } from '../support/wire.ts'

export interface Pair {
  cached: Wire
  plain: Wire
}

export async function startPair(
  t: TestContext,
  declare: (app: FastifyInstance) => unknown,
  setup: Parameters<typeof startBoth>[2] = {},
): Promise<Pair> {
  const { cached, plain } = await startBoth(t, declare, setup)
  return { cached: wireTo(t, cached), plain: wireTo(t, plain) }
}

export type { Setup }

/** What an application can see of a request's target; the query as it was parsed, in any order. */
export function seen(request: FastifyRequest): Record<string, unknown> {
  const { host, hostname, port, protocol, params, query, routeOptions } = request
  return {
    route: routeOptions.url,
    path: request.url.split('?', 1)[0],
    originalUrl: request.originalUrl === request.url ? 'the same' : request.originalUrl,
    host,
    hostname,
    port,
    protocol,
    params,
    query: Object.entries(query as object).sort(([a], [b]) => (a < b ? -1 : 1)),
  }
}

/** A target, with lines of fields where those matter. */
export type Asked = string | readonly [target: string, ...fields: string[]]

export function textOf(asked: Asked, method = 'GET'): string {
  if (typeof asked === 'string') return requestText(asked, [], method)
  const [target, ...fields] = asked
  return requestText(target, fields, method)
}

function essence({ status, headers, text }: Answer): unknown {
  return [status, headers['content-type'], text]
}

/**
 * Cold, backwards, and twice more: each request gets what the application without a cache says, so
 * no two that are told apart there share anything here. From the second round on the cache answers
 * whatever it may keep. Returns how many answers came from it.
 */
export async function assertAsPlain(pair: Pair, requests: readonly Asked[]): Promise<number> {
  let hits = 0
  const expected = new Map<Asked, Answer>()
  for (const asked of requests) expected.set(asked, await pair.plain.ask(textOf(asked)))
  for (const round of ['cold', 'warm', 'hot', 'hotter']) {
    for (const asked of round === 'warm' ? requests.toReversed() : requests) {
      const answer = await pair.cached.ask(textOf(asked))
      const shown = `${JSON.stringify(asked).slice(0, 200)} on a ${round} cache`
      assert.deepEqual(essence(answer), essence(expected.get(asked)!), shown)
      if (isHit(answer)) hits++
      if (round !== 'cold' && answer.status === 200) assertHit(answer)
    }
  }
  // HEAD is a question for the same response, and gets its length.
  for (const asked of requests) {
    const answer = await pair.cached.ask(textOf(asked, 'HEAD'))
    const { status, headers } = expected.get(asked)!
    if (status !== 200) continue
    assertHit(answer)
    assert.equal(answer.headers['content-length'], headers['content-length'])
  }
  return hits
}

/** The first fills, all others are answered with what it filled. */
export async function assertShared({ cached }: Pair, requests: readonly Asked[]): Promise<void> {
  const texts: string[] = []
  for (const asked of requests) {
    const answer = await cached.ask(textOf(asked))
    assert.equal(answer.status, 200, JSON.stringify(asked))
    if (texts.length > 0) assert.ok(isHit(answer), `${JSON.stringify(asked)} shares`)
    texts.push(answer.text)
  }
  assert.equal(new Set(texts).size, 1)
}

export function isHit(answer: Answer): boolean {
  return answer.headers['cache-status'] !== undefined && statusOf(answer).hit === true
}
