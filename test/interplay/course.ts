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
  /** Responses that are stored, where it is not one for each path. */
  stored?: number
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
    const whole = await wholeFor(plain, visit)
    const [own, others] = comparable(visit, answer, expected)
    if (whole !== undefined && answer.status === 200) {
      assert.deepEqual(essence(answer), essence(whole), shown)
    } else if (answer.status === 416) {
      assert.equal(expected.status, 416, shown)
      assert.equal(answer.headers['content-range'], expected.headers['content-range'], shown)
    } else assert.deepEqual(essence(own), essence(others), shown)
    const told = answer.headers['cache-status'] === undefined ? undefined : statusOf(answer)
    answered.push({ visit, answer, expected, told })
  }
  return answered
}

/** RFC 9110 §14.2: who is asked for a part may always answer with the whole. */
async function wholeFor(
  plain: Client,
  { method, path, fields }: Visit,
): Promise<Answer | undefined> {
  if (fields?.['range'] === undefined) return undefined
  const { range: _, 'if-range': __, ...others } = fields
  return plain.send(method ?? 'GET', path, { headers: others })
}

/** RFC 9110 §15.4.5: what a 304 has to repeat of the 200 that it stands for. */
const REPEATED = new Set(['cache-control', 'content-location', 'etag', 'expires', 'vary'])
/** @fastify/compress says so where it encodes, and a 304 has nothing to encode. */
const WITH_A_BODY = 'accept-encoding'

/**
 * The cache may tell a client with the right tag that nothing has changed, where the plain application
 * sends the page again; of its fields a 304 needs but few, and all others are the page's.
 */
function comparable({ conditional }: Visit, answer: Answer, expected: Answer): [Answer, Answer] {
  if (answer.status !== 304) return [answer, expected]
  if (conditional !== 'own' && expected.status !== 304) return [answer, expected]
  const headers: Answer['headers'] = {}
  for (const [name, value] of Object.entries(expected.headers)) {
    if (name === 'vary' && value === WITH_A_BODY && !(name in answer.headers)) continue
    const isKept = name in answer.headers || REPEATED.has(name)
    if (isKept && name !== 'content-length') headers[name] = value
  }
  const { 'content-length': length, ...own } = answer.headers
  assert.ok(length === undefined || length === '0')
  const unchanged = { ...expected, status: 304, headers, body: answer.body }
  assert.equal(answer.body.length, 0)
  return [{ ...answer, headers: own }, unchanged]
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
  const misses = tolds.filter(
    (told) => told?.fwd === 'uri-miss' || told?.fwd === 'vary-miss',
  ).length
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
