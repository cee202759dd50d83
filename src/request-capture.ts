import {
  type IncomingHttpHeaders,
  IncomingMessage,
  type RequestListener,
  ServerResponse,
} from 'node:http'
import { Socket } from 'node:net'

/** What is known of a request that nobody sends. */
export interface RequestDraft {
  /** Upper case. */
  readonly method: string
  readonly url: string
  readonly protocol: string
  readonly headers: IncomingHttpHeaders
  readonly remoteAddress: string | undefined
}

/** The names of what Fastify gives a request class: fields with a value, and the class below. */
interface RequestClass {
  readonly prototype: object
  readonly props?: readonly { readonly key: PropertyKey; readonly value: unknown }[]
}

/** Set by every version of Fastify's constructor of requests, as the last of its own properties. */
const LAST = 'body'

/**
 * What Fastify makes of a request: its route, query, host and protocol as the application's own
 * router, parser and proxies' rules have them. No hook and no handler runs: Fastify is stopped when
 * it has made the request object and before it does anything with it.
 */
export class RequestCapture {
  readonly #app: object
  readonly #dispatch: RequestListener
  readonly #decorator: string

  /** @param decorator A name by which the application's request class is known. */
  constructor(app: object, dispatch: RequestListener, decorator: string) {
    this.#app = app
    this.#dispatch = dispatch
    this.#decorator = decorator
  }

  /** Undefined where there is no request: a target that no router takes, an instance that closes. */
  capture<Captured extends object>(draft: RequestDraft): Captured | undefined {
    const root = this.#rootPrototype()
    if (root === undefined) return undefined
    const raw = rawRequest(draft)
    const captured = trap(root, () => this.#dispatch(raw, new ServerResponse(raw)))
    // Constraints that are asked asynchronously come back when nothing stops them any more.
    if (captured === undefined) {
      Object.defineProperty(raw, 'headers', { get: refuse })
      return undefined
    }
    addProps(captured)
    return captured as Captured
  }

  /** The prototype of all requests of this copy of Fastify; undefined if its requests cannot be trapped. */
  #rootPrototype(): object | undefined {
    const ofApp = findClass(this.#app, this.#decorator)
    if (ofApp === undefined) return undefined
    let root = ofApp.prototype
    for (
      let next: unknown = root;
      next !== Object.prototype && next !== null;
      next = Object.getPrototypeOf(next)
    ) {
      root = next as object
    }
    const make = ofApp as unknown as new (...parts: unknown[]) => object
    return trap(root, () => new make('', {}, {}, {}, {}, {})) === undefined ? undefined : root
  }
}

/** The application keeps the class of its requests under a symbol of Fastify's. */
function findClass(app: object, decorator: string): RequestClass | undefined {
  for (let at: unknown = app; at !== Object.prototype && at; at = Object.getPrototypeOf(at)) {
    for (const symbol of Object.getOwnPropertySymbols(at)) {
      const value: unknown = Reflect.get(at, symbol)
      if (typeof value !== 'function' || !('props' in value)) continue
      const prototype = value.prototype as unknown
      if (prototype && typeof prototype === 'object' && decorator in prototype) {
        return value as RequestClass
      }
    }
  }
  return undefined
}

/** Leads out of Fastify, with what it has made. */
class Stop extends Error {
  readonly request: object | undefined

  constructor(request?: object) {
    super('nothing goes on from here')
    this.request = request
  }
}

/** Runs until the first object with this prototype gets its last property; returns it. Synchronous. */
function trap(root: object, run: () => unknown): object | undefined {
  Object.defineProperty(root, LAST, {
    configurable: true,
    set(this: object) {
      throw new Stop(this)
    },
  })
  try {
    run()
  } catch (error) {
    if (error instanceof Stop) return error.request
    throw error
  } finally {
    Reflect.deleteProperty(root, LAST)
  }
  return undefined
}

/** What the constructor would have gone on with: the decorators of the application. */
function addProps(request: object): void {
  Reflect.set(request, LAST, undefined)
  const { props = [] } = request.constructor as unknown as RequestClass
  for (const { key, value } of props) Reflect.set(request, key, value)
}

function refuse(): never {
  throw new Stop()
}

function rawRequest(draft: RequestDraft): IncomingMessage {
  const socket = new Socket()
  const { remoteAddress, protocol } = draft
  Object.defineProperties(socket, {
    remoteAddress: { value: remoteAddress },
    encrypted: { value: protocol === 'https' },
  })
  const raw = new IncomingMessage(socket)
  raw.method = draft.method
  raw.url = draft.url
  raw.headers = draft.headers
  raw.rawHeaders = Object.entries(draft.headers).flatMap(([name, value]) =>
    [value ?? []].flat().flatMap((line) => [name, line]),
  )
  raw.httpVersionMajor = 1
  raw.httpVersionMinor = 1
  raw.httpVersion = '1.1'
  return raw
}
