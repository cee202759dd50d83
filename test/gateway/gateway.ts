// The gateway example between a client of the test and an upstream of the test, over sockets.
import { connect } from 'node:net'
import { type TestContext } from 'node:test'

import { type GatewaySettings, buildGateway } from '../../examples/gateway.ts'
import { type Client, PATIENCE_MS, listen } from '../support/app.ts'
import { type RawAnswer, RawUpstream } from '../support/raw-upstream.ts'

export async function startGateway(
  t: TestContext,
  answer: RawAnswer | string,
  { early = false, prefix = '', ...settings }: Settings = {},
): Promise<{ upstream: RawUpstream; client: Client }> {
  const upstream = await RawUpstream.start(t, answer, { early })
  const client = await listenGateway(t, { upstream: upstream.url + prefix, ...settings })
  return { upstream, client }
}

type Settings = Omit<GatewaySettings, 'upstream'> & { early?: boolean; prefix?: string }

export async function listenGateway(t: TestContext, settings: GatewaySettings): Promise<Client> {
  return listen(t, await buildGateway(settings))
}

/**
 * Sends one request without a library, and returns all that comes until the server closes. Half a
 * connection is not closed meanwhile: Node takes that for a client that has left.
 */
export async function speak(
  { port }: Client,
  line: string,
  fields: readonly string[] = [],
  body = '',
): Promise<string> {
  const head = [line, 'Host: shop.example', 'Connection: close', ...fields, '', body]
  const socket = connect(port, '127.0.0.1')
  socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')))
  socket.write(head.join('\r\n'), 'latin1')
  let received = ''
  for await (const chunk of socket.setEncoding('latin1')) received += chunk
  return received
}
