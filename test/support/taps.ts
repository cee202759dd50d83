// The same payload sent by two routes of one application, as it is and tapped. What the first one
// answers is right.
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { type IncomingMessage, get } from 'node:http'
import { type AddressInfo, type Server, connect } from 'node:net'
import type { TestContext } from 'node:test'

import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'

import type { StreamOutcome } from '../../src/exchange-recording.ts'
import {
  type StreamPayload,
  isResponse,
  isStream,
  tapStream,
  unfoldResponse,
} from '../../src/exchange-stream.ts'
import { type Client, PATIENCE_MS, eventually, listen } from './app.ts'

export interface Taps {
  client: Client
  /** What `/tapped` told, in this order. */
  outcomes: StreamOutcome[]
  /** The one outcome there is, once there is one. */
  outcome: () => Promise<StreamOutcome>
}

export interface TapSetup {
  maxBytes?: number
  before?: (app: FastifyInstance) => unknown
}

type Make = (request: FastifyRequest, reply: FastifyReply) => unknown

export async function startTaps(
  t: TestContext,
  make: Make,
  { maxBytes = 1024 * 1024, before }: TapSetup = {},
): Promise<Taps> {
  const outcomes: StreamOutcome[] = []
  const onEnd = (outcome: StreamOutcome): void => {
    outcomes.push(outcome)
  }
  const app = Fastify({ forceCloseConnections: true })
  await before?.(app)
  app.get('/plain', async (request, reply) => make(request, reply))
  app.get('/tapped', async (request, reply) => {
    const made = await make(request, reply)
    if (!isStream(made)) throw new TypeError('not a stream')
    const payload: StreamPayload | undefined = isResponse(made) ? unfoldResponse(reply, made) : made
    return reply.send(payload && tapStream(payload, { maxBytes, onEnd }))
  })
  const client = await listen(t, app)
  const outcome = async (): Promise<StreamOutcome> => {
    await eventually(() => outcomes.length > 0, 'the tap never said anything')
    assert.equal(outcomes.length, 1)
    return outcomes[0]!
  }
  return { client, outcomes, outcome }
}

/** All that comes over the connection until it closes, however that happens; without Date. */
export async function wire(
  { port }: Client,
  path: string,
  { method = 'GET', fields = [] as readonly string[] } = {},
): Promise<string> {
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')))
  const lines = [`${method} ${path} HTTP/1.1`, 'Host: localhost', 'Connection: close', ...fields]
  socket.write([...lines, '', ''].join('\r\n'))
  let received = ''
  try {
    for await (const chunk of socket.setEncoding('latin1')) received += chunk
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ECONNRESET') throw error
  }
  return received.replace(/^date: .*\r\n/im, '')
}

/** Asserts that both routes put the same bytes on the wire, and returns those. */
export async function sameWire(
  { client }: Taps,
  sent: Parameters<typeof wire>[2] = {},
): Promise<string> {
  const plain = await wire(client, '/plain', sent)
  assert.equal(await wire(client, '/tapped', sent), plain)
  assert.match(plain, /^HTTP\/1\.1 \d{3} /)
  return plain
}

/** An answer whose body is left to the caller. */
export async function response(port: number, path: string): Promise<IncomingMessage> {
  const [incoming] = await once(get({ port, path, agent: false }), 'response')
  return incoming
}

/** The port of a server that goes away with the test. */
export async function listening(t: TestContext, server: Server): Promise<number> {
  t.after(() => server.close())
  await once(server.listen(0, '127.0.0.1'), 'listening')
  return (server.address() as AddressInfo).port
}

/** Waits until a count has been the same for a while: nothing tells that something has stopped. */
export async function standsStill(count: () => number): Promise<void> {
  let before = -1
  let polls = 0
  await eventually(() => {
    polls = count() === before ? polls + 1 : 0
    before = count()
    return polls >= 10
  }, 'it goes on and on')
}
