// A dashboard on a real socket, and what its page does: questions by POST, and a stream of events.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, request } from 'node:http'
import { type TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import dashboard, { type DashboardOptions } from '../../src/dashboard/index.ts'
import type { State, Tick } from '../../src/dashboard/messages.ts'
import { type Answer, type Client, type Setup, eventually, start } from '../support/app.ts'

export const PREFIX = '/dash'

export interface DashboardSetup extends Setup {
  options?: DashboardOptions | ((app: FastifyInstance) => DashboardOptions)
  /** Runs after the cache is registered, before the dashboard. */
  build?: (app: FastifyInstance) => unknown
  /** Runs after the dashboard is registered. */
  after?: (app: FastifyInstance) => unknown
}

export async function startDashboard(
  t: TestContext,
  { options = { unprotected: true }, build, after, ...setup }: DashboardSetup = {},
): Promise<Client> {
  return start(
    t,
    async (app) => {
      await build?.(app)
      const own = typeof options === 'function' ? options(app) : options
      await app.register(dashboard, { prefix: PREFIX, ...own })
      await after?.(app)
    },
    setup,
  )
}

/** As the page asks. */
export function ask(
  client: Client,
  name: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  return client.send('POST', `${PREFIX}/api/${name}`, {
    headers: { 'content-type': 'application/json', origin: client.origin, ...headers },
    body: JSON.stringify(body),
  })
}

export interface Told {
  event: string
  data: State & Tick
}

/** Reads a stream of events until it is closed. */
export class Watcher {
  readonly told: Told[] = []
  readonly response: IncomingMessage
  isEnded = false
  #rest = ''

  constructor(response: IncomingMessage) {
    this.response = response
    response.setEncoding('utf8')
    response.on('data', (text: string) => this.#take(text))
    response.on('close', () => (this.isEnded = true))
    response.on('error', () => undefined)
  }

  get ticks(): Told[] {
    return this.told.filter(({ event }) => event === 'tick')
  }

  async hasTicks(count: number): Promise<void> {
    await eventually(() => this.ticks.length >= count, `${this.ticks.length} of ${count} ticks`)
  }

  async ended(): Promise<void> {
    await eventually(() => this.isEnded, 'the stream is still open')
  }

  close(): void {
    this.response.destroy()
  }

  #take(text: string): void {
    const frames = (this.#rest + text).split('\n\n')
    this.#rest = frames.pop()!
    for (const frame of frames) {
      const fields = Object.fromEntries(
        frame.split('\n').map((line) => /^(\w+): (.*)$/.exec(line)!.slice(1)),
      )
      this.told.push({ event: fields.event, data: JSON.parse(fields.data) })
    }
  }
}

export async function connectTo(
  client: Client,
  path: string,
  headers: Record<string, string> = {},
): Promise<IncomingMessage> {
  const outgoing = request({ host: '127.0.0.1', port: client.port, path, headers, agent: false })
  outgoing.on('error', () => undefined)
  const arriving = once(outgoing, 'response')
  outgoing.end()
  const [response] = await arriving
  return response as IncomingMessage
}

export async function watch(client: Client, query = '', prefix: string = PREFIX): Promise<Watcher> {
  const response = await connectTo(client, `${prefix}/api/events${query}`)
  assert.equal(response.statusCode, 200)
  const watcher = new Watcher(response)
  await eventually(() => watcher.told.length > 0, 'nothing was told')
  return watcher
}
