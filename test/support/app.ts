// A Fastify application on a real socket, with the cache or without it, and requests to it. Without
// the cache an application is the oracle: what it answers is what the cached one has to answer.
import { type Agent, type IncomingHttpHeaders, type RequestOptions, request } from 'node:http'
import { once } from 'node:events'
import { type AddressInfo, connect } from 'node:net'
import { type TestContext } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import Fastify, { type FastifyInstance, type FastifyServerOptions } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'

/** Longer than anything here takes, shorter than the runner's own limit. */
export const PATIENCE_MS = 10_000

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** Names as sent, each with its value: what `headers` merges or drops is still here. */
  rawHeaders: string[]
  trailers: Record<string, string | undefined>
  body: Buffer
  text: string
}

export interface Sent {
  headers?: Record<string, string | string[]>
  body?: string | Buffer
  signal?: AbortSignal
  agent?: Agent
}

/** Requests to one server, every one on a connection of its own. */
export class Client {
  readonly port: number

  constructor(port: number) {
    this.port = port
  }

  get origin(): string {
    return `http://127.0.0.1:${this.port}`
  }

  get(path: string, headers: Sent['headers'] = {}): Promise<Answer> {
    return this.send('GET', path, { headers })
  }

  head(path: string, headers: Sent['headers'] = {}): Promise<Answer> {
    return this.send('HEAD', path, { headers })
  }

  async send(method: string, path: string, sent: Sent = {}): Promise<Answer> {
    const { headers = {}, body, signal, agent } = sent
    const timeout = AbortSignal.timeout(PATIENCE_MS)
    const options: RequestOptions = {
      host: '127.0.0.1',
      port: this.port,
      method,
      path,
      headers: { ...(agent ? {} : { connection: 'close' }), ...headers },
      agent: agent ?? false,
      signal: signal ? AbortSignal.any([signal, timeout]) : timeout,
    }
    const outgoing = request(options)
    const arriving = once(outgoing, 'response')
    outgoing.end(body)
    const [incoming] = await arriving
    const chunks: Buffer[] = []
    for await (const chunk of incoming) chunks.push(chunk)
    const bytes = Buffer.concat(chunks)
    return {
      status: incoming.statusCode,
      headers: incoming.headers,
      rawHeaders: incoming.rawHeaders,
      trailers: incoming.trailers,
      body: bytes,
      text: bytes.toString(),
    }
  }

  /** Sends the bytes as they are, and returns all that comes until the server closes. */
  async raw(text: string): Promise<string> {
    const socket = connect(this.port, '127.0.0.1')
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')))
    socket.end(text, 'latin1')
    let received = ''
    for await (const chunk of socket.setEncoding('latin1')) received += chunk
    return received
  }

  /** One request whose target is written as it is: no client library has a say in it. */
  async target(target: string, headers: readonly string[] = ['Host: localhost']): Promise<Answer> {
    const lines = [`GET ${target} HTTP/1.1`, ...headers, 'Connection: close', '', '']
    return parseAnswer(await this.raw(lines.join('\r\n')))
  }
}

function parseAnswer(received: string): Answer {
  const end = received.indexOf('\r\n\r\n')
  const [statusLine = '', ...fieldLines] = received.slice(0, end).split('\r\n')
  const headers: Record<string, string> = {}
  for (const line of fieldLines) {
    const colon = line.indexOf(':')
    headers[line.slice(0, colon).toLowerCase()] = line.slice(colon + 1).trim()
  }
  const body = Buffer.from(received.slice(end + 4), 'latin1')
  return {
    status: Number(statusLine.split(' ')[1]),
    headers,
    rawHeaders: fieldLines,
    trailers: {},
    body,
    text: body.toString(),
  }
}

export interface Setup {
  /** Options of the cache; `false` leaves the cache out. */
  cache?: ResponseCacheOptions | false
  fastify?: FastifyServerOptions
  /** Runs before the cache is registered. */
  before?: (app: FastifyInstance) => unknown
}

/** An application with the cache and, unless told otherwise, a lifetime that outlasts the test. */
export async function start(
  t: TestContext,
  build: (app: FastifyInstance) => unknown,
  { cache = {}, fastify = {}, before }: Setup = {},
): Promise<Client> {
  const app = Fastify(fastify)
  await before?.(app)
  if (cache !== false) await app.register(responseCache, { defaults: { ttl: '1h' }, ...cache })
  await build(app)
  return listen(t, app)
}

/** Opens a port, and closes everything with the test. */
export async function listen(t: TestContext, app: FastifyInstance): Promise<Client> {
  t.after(() => app.close())
  await app.listen({ port: 0, host: '127.0.0.1' })
  return new Client((app.server.address() as AddressInfo).port)
}

/** The same application twice: with the cache, and without it as the oracle. */
export async function startBoth(
  t: TestContext,
  build: (app: FastifyInstance) => unknown,
  setup: Omit<Setup, 'cache'> & { cache?: ResponseCacheOptions } = {},
): Promise<{ cached: Client; plain: Client }> {
  const cached = await start(t, build, setup)
  const plain = await start(t, build, { ...setup, cache: false })
  return { cached, plain }
}

/** Polls, for what no event tells; fails with the message when it does not come true. */
export async function eventually(condition: () => boolean, message: string): Promise<void> {
  const giveUpAt = Date.now() + PATIENCE_MS
  while (!condition()) {
    if (Date.now() > giveUpAt) throw new Error(message)
    await pause(5)
  }
}

/** A door that handlers wait at until the test opens it. */
export class Door {
  /** How many have come to the door. */
  arrived = 0
  #open!: () => void
  readonly #opened = new Promise<void>((resolve) => {
    this.#open = resolve
  })

  async pass(): Promise<void> {
    this.arrived++
    await this.#opened
  }

  open(): void {
    this.#open()
  }

  async reached(count = 1): Promise<void> {
    await eventually(() => this.arrived >= count, `${this.arrived} of ${count} came to the door`)
  }
}

/** Stops nobody: in a hook it tells how many requests have come that far. */
export function openDoor(): Door {
  const door = new Door()
  door.open()
  return door
}

const VOLATILE = ['date', 'connection', 'keep-alive', 'cache-status', 'age', 'x-cache']

/** The header section without what is of this connection, this moment or this cache. */
export function lastingHeaders({ headers }: Answer): IncomingHttpHeaders {
  const lasting = { ...headers }
  for (const name of VOLATILE) delete lasting[name]
  return lasting
}
