import type { FastifyRequest } from 'fastify'

import { EXCHANGE, type Exchange } from './exchange.ts'
import { uncoveredCredential } from './http/credentials.ts'
import type { Input } from './input-guard.ts'

/**
 * Notes what a handler reads of its request, until it answers. Copies with getters stand in the place
 * of header fields and cookies, and a Proxy behind them as their prototype sees names that are not there:
 * what is read is what was read before, and can be copied and cloned as before.
 */
export function watchInputs(request: FastifyRequest): void {
  const exchange = request[EXCHANGE]
  const fill = exchange?.fill
  // What a gateway's origin looks at, its Vary says.
  if (exchange === undefined || fill === undefined || exchange.policy.ttl === 'headers') return
  const inputs = new Map<string, Input>()
  exchange.inputs = inputs
  let quiet = false
  const note = (from: Input['from'], name = ''): void => {
    if (!quiet && !fill.answered) inputs.set(`${from} ${name}`, { from, name })
  }
  const quietly = <Value>(read: () => Value): Value => {
    const before = quiet
    quiet = true
    try {
      return read()
    } finally {
      quiet = before
    }
  }
  watchFields(request, (name) => note('header', name))
  watchCookies(request, (name) => note('cookie', name))
  // What these are made of is in the key, or is what is noted.
  for (const name of ['host', 'hostname', 'port', 'protocol']) replace(request, name, quietly)
  for (const name of ['ip', 'ips']) {
    replace(request, name, (read) => {
      note('ip')
      return quietly(read)
    })
  }
  for (const name of ['user', 'session'] as const) {
    replace(request, name, (read) => {
      note(name)
      return quietly(read)
    })
  }
}

/** What of it the key does not cover, nor the fields that the answer varies on. Told of here. */
export function refusesInputs(exchange: Exchange, nominated: readonly string[]): boolean {
  const { inputs, cache, policy } = exchange
  const open = [...inputs!.values()].filter((input) => !isCovered(exchange, input, nominated))
  if (open.length === 0 || cache.inputGuard === undefined) return false
  cache.inputGuard.report(policy.route, open)
  return cache.inputGuard.refuses
}

/**
 * Conditions and ranges are answered with 304 and 206, which are not stored; a request with one of the
 * others goes around the cache.
 */
const HARMLESS = new Set([
  ...['if-none-match', 'if-modified-since', 'if-range', 'range', 'cache-control', 'pragma'],
  ...['if-match', 'if-unmodified-since', 'upgrade', 'transfer-encoding', 'content-length'],
  ...['connection', ':authority'],
])

function isCovered(exchange: Exchange, input: Input, nominated: readonly string[]): boolean {
  const { policy } = exchange
  // An identity in the key is whatever the route says that it is; without `public`, requests that
  // have one which is not in the key never come here.
  const hasIdentity = policy.vary.by !== undefined
  if (input.from === 'ip') return hasIdentity
  if (input.from !== 'header' && (hasIdentity || !policy.public)) return true
  if (input.from === 'cookie') {
    return policy.keyed.cookies.has(input.name) || policy.keyedFields.has('cookie')
  }
  return input.from === 'header' && isFieldCovered(exchange, input.name, nominated)
}

function isFieldCovered(exchange: Exchange, name: string, nominated: readonly string[]): boolean {
  const { policy, cache, fill, target } = exchange
  if (HARMLESS.has(name) || policy.keyedFields.has(name) || nominated.includes(name)) return true
  if (name === 'host') return fill!.requestFields['host'] === target!.host
  if (!cache.credentialFields.includes(name)) return false
  if (policy.vary.by !== undefined || !policy.public) return true
  // All cookies of the request are in the key.
  const { size } = policy.keyed.cookies
  return size > 0 && uncoveredCredential(fill!.requestFields, [name], policy.keyed) === undefined
}

function watchFields(request: FastifyRequest, note: (name: string) => void): void {
  const { raw } = request
  const made = request.headers
  if (made !== raw.headers) {
    const watched = watchedCopy(made, note)
    Object.defineProperty(request, 'headers', {
      configurable: true,
      get: () => watched,
      // What is assigned is seen as it would be without this.
      set: (fields: FastifyRequest['headers']) => {
        Reflect.deleteProperty(request, 'headers')
        request.headers = fields
      },
    })
  }
  const value = watchedCopy(raw.headers, note)
  Object.defineProperty(raw, 'headers', { value, configurable: true, writable: true })
}

function watchCookies(request: FastifyRequest, note: (name: string) => void): void {
  const { cookies } = request as { cookies?: unknown }
  if (cookies === null || typeof cookies !== 'object') return
  const value = watchedCopy(cookies, note)
  Object.defineProperty(request, 'cookies', { value, configurable: true, writable: true })
}

/** What JSON and promises ask every object for. */
const NO_NAMES = new Set(['toJSON', 'then'])

function watchedCopy(fields: object, note: (name: string) => void): object {
  const inherited = (Object.getPrototypeOf(fields) as object | null) ?? Object.create(null)
  const look = (name: PropertyKey): void => {
    if (typeof name === 'string' && !NO_NAMES.has(name) && !(name in inherited)) note(name)
  }
  const behind = new Proxy(inherited as object, {
    get: (_, name, receiver) => (look(name), Reflect.get(inherited as object, name, receiver)),
    has: (_, name) => (look(name), Reflect.has(inherited as object, name)),
  })
  const copy = Object.create(behind) as object
  for (const [name, given] of Object.entries(fields)) {
    let value: unknown = given
    Object.defineProperty(copy, name, {
      configurable: true,
      enumerable: true,
      get: () => (note(name), value),
      set: (written: unknown) => {
        value = written
      },
    })
  }
  return copy
}

/** A property that is read through `through`, and written as before. */
function replace(
  request: FastifyRequest,
  name: string,
  through: (read: () => unknown) => unknown,
): void {
  if (!(name in request)) return
  const isOwn = Object.hasOwn(request, name)
  const prototype = Object.getPrototypeOf(request) as object
  let value: unknown = isOwn ? Reflect.get(request, name) : undefined
  Object.defineProperty(request, name, {
    configurable: true,
    enumerable: isOwn,
    get: () => through(() => (isOwn ? value : Reflect.get(prototype, name, request))),
    set: (written: unknown) => {
      if (isOwn) value = written
      else Reflect.set(prototype, name, written, request)
    },
  })
}
