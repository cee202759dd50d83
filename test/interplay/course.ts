// One course of requests through two applications that differ in the cache alone. Both get the same
// requests in the same order, so plugins that keep count stay in step, and every answer of the one
// with the cache has to be the other's: status, fields and body.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'
import { brotliDecompressSync, gunzipSync, inflateSync } from 'node:zlib'

import etag from '@fastify/etag'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'

import type { ResponseCacheOptions } from '../../src/index.ts'
import { type Answer, type Client, lastingHeaders, startBoth } from '../support/app.ts'
import { type Told, statusOf } from '../support/assert-status.ts'

export type Fields = Record<string, string>

export interface Visit {
  method?: string
  path: string
  fields?: Fields
  body?: string | Buffer
  /** Sends the last ETag that this client got for the path, or one that nobody has. */
  conditional?: 'own' | 'other'
}

/** Every way to ask for a page: before and after it is stored, with what a browser kept of it. */
export function course(path: string, fields: Fields = {}): Visit[] {
  const head = { method: 'HEAD', path, fields }
  const get = { path, fields }
  return [
    head,
    ...[get, get, head],
    ...(['own', 'other', 'own'] as const).map((conditional) => ({ ...get, conditional })),
    { ...head, conditional: 'own' },
    get,
  ]
}

export interface Neighbour {
  name: string
  register: (app: FastifyInstance) => unknown
  /** The routes that the visits go to. */
  declare: (app: FastifyInstance) => unknown
  visits: (client: Client) => Visit[] | Promise<Visit[]>
  /** What is left to compare when all that is new in every response is taken away. */
  essence?: (answer: Answer) => unknown
  fastify?: FastifyServerOptions
  cache?: ResponseCacheOptions
}

export const ORDERS = ['before the cache', 'after the cache', 'in a scope of its own'] as const
export type Order = (typeof ORDERS)[number]

export interface Answered {
  visit: Visit
  answer: Answer
  expected: Answer
  told: Told | undefined
}

/** Runs the visits through both applications; fails where they differ. */
export async function compare(
  t: TestContext,
  neighbour: Neighbour,
  order: Order,
  withEtag = false,
): Promise<Answered[]> {
  const register = async (app: FastifyInstance): Promise<void> => {
    if (withEtag) await app.register(etag)
    await neighbour.register(app)
  }
  const { cached, plain } = await startBoth(
    t,
    async (app) => {
      if (order === 'in a scope of its own') {
        await app.register(async (scope) => {
          await register(scope)
          await neighbour.declare(scope)
        })
        return
      }
      if (order === 'after the cache') await register(app)
      await neighbour.declare(app)
    },
    {
      ...(order === 'before the cache' ? { before: register } : {}),
      fastify: neighbour.fastify ?? {},
      cache: neighbour.cache ?? {},
    },
  )
  const visitors = [new Visitor(cached), new Visitor(plain)] as const
  const [visits, plainVisits] = [await neighbour.visits(cached), await neighbour.visits(plain)]
  const answered: Answered[] = []
  for (const [index, visit] of visits.entries()) {
    const answer = await visitors[0].make(visit)
    const expected = await visitors[1].make(plainVisits[index]!)
    const { essence = essenceOf } = neighbour
    const shown = `visit ${index}: ${JSON.stringify(visit)}, ${JSON.stringify(answer.headers)}`
    assert.deepEqual(essence(answer), essence(expected), shown)
    const told = answer.headers['cache-status'] === undefined ? undefined : statusOf(answer)
    answered.push({ visit, answer, expected, told })
  }
  return answered
}

/** One client with a memory for the tags that it was given. */
class Visitor {
  readonly #client: Client
  readonly #tags = new Map<string, string>()

  constructor(client: Client) {
    this.#client = client
  }

  async make({ method = 'GET', path, fields = {}, body, conditional }: Visit): Promise<Answer> {
    const known = `${path} ${JSON.stringify(fields)}`
    const tag = conditional === 'other' ? '"of nobody"' : this.#tags.get(known)
    const headers =
      conditional === undefined || tag === undefined ? fields : { ...fields, 'if-none-match': tag }
    const answer = await this.#client.send(method, path, {
      headers,
      ...(body === undefined ? {} : { body }),
    })
    if (answer.headers.etag !== undefined) this.#tags.set(known, answer.headers.etag)
    return answer
  }
}

export function decoded({ headers, body }: Answer): string {
  if (body.length === 0) return ''
  switch (headers['content-encoding']) {
    case 'gzip':
      return gunzipSync(body).toString()
    case 'br':
      return brotliDecompressSync(body).toString()
    case 'deflate':
      return inflateSync(body).toString()
    case undefined:
      return body.toString()
    default:
      throw new Error(`encoded as ${headers['content-encoding']}`)
  }
}

export function essenceOf(answer: Answer): { status: number; headers: object; body: string } {
  const headers = lastingHeaders(answer)
  // Names of fields, in any case and order.
  if (headers.vary !== undefined) {
    headers.vary = headers.vary.toLowerCase().split(/ *, */).sort().join(', ')
  }
  return { status: answer.status, headers, body: decoded(answer) }
}

/** All but the first GET of each page, and the HEAD before it, came from the cache. */
export function assertServed(answered: Answered[], pages: number): void {
  const tolds = answered.map(({ told }) => told)
  const stored = tolds.filter((told) => told?.stored === true).length
  const hits = tolds.filter((told) => told?.hit === true).length
  assert.equal(stored, pages, 'each page is stored once')
  const misses = tolds.filter((told) => told?.fwd === 'uri-miss').length
  assert.ok(misses <= 2 * pages, `${misses} of ${tolds.length} visits were misses`)
  assert.equal(hits + misses, tolds.length)
}

/** Nothing came from the cache, and nothing was kept. */
export function assertNeverServed(answered: Answered[]): void {
  for (const { visit, told } of answered) {
    assert.notEqual(told?.hit, true, JSON.stringify(visit))
    assert.notEqual(told?.stored, true, JSON.stringify(visit))
  }
}
