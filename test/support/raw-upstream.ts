// A server without an HTTP library: what comes is kept as it came, what goes is what the test writes.
import { once } from 'node:events'
import { type AddressInfo, type Socket, createServer } from 'node:net'
import { type TestContext } from 'node:test'

export interface RawRequest {
  /** The request line. */
  line: string
  method: string
  target: string
  /** Lower-case names; several lines of one name are one string, joined with `, `. */
  fields: Record<string, string>
  body: Buffer
}

/** Writes the answer, or does worse to the connection. `nth` counts the requests from 1. */
export type RawAnswer = (socket: Socket, request: RawRequest, nth: number) => unknown

export class RawUpstream {
  readonly requests: RawRequest[] = []
  readonly port: number
  /** Closes everything; nobody listens on the port then. */
  readonly stop: () => void

  /** Answers as soon as a head is there, when `early`; else with the whole request. */
  static async start(
    t: TestContext,
    answer: RawAnswer | string,
    { early = false } = {},
  ): Promise<RawUpstream> {
    const server = createServer()
    const sockets = new Set<Socket>()
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const upstream = new RawUpstream((server.address() as AddressInfo).port, () => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    t.after(() => upstream.stop())
    const write: RawAnswer =
      typeof answer === 'string' ? (socket) => socket.write(answer, 'latin1') : answer
    server.on('connection', (socket) => {
      sockets.add(socket)
      socket.on('close', () => sockets.delete(socket)).on('error', () => {})
      let received: Buffer = Buffer.alloc(0)
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
        for (;;) {
          const parsed = parseRequest(received, early)
          if (parsed === undefined) return
          received = parsed.rest
          upstream.requests.push(parsed.request)
          write(socket, parsed.request, upstream.requests.length)
        }
      })
    })
    return upstream
  }

  private constructor(port: number, stop: () => void) {
    this.port = port
    this.stop = stop
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`
  }

  /** The only request that came. */
  get request(): RawRequest {
    if (this.requests.length !== 1) throw new Error(`${this.requests.length} requests came, not 1`)
    return this.requests[0]!
  }
}

function parseRequest(
  received: Buffer,
  early: boolean,
): { request: RawRequest; rest: Buffer } | undefined {
  const end = received.indexOf('\r\n\r\n')
  if (end === -1) return undefined
  const [line = '', ...fieldLines] = received.toString('latin1', 0, end).split('\r\n')
  const fields: Record<string, string> = {}
  for (const fieldLine of fieldLines) {
    const colon = fieldLine.indexOf(':')
    const name = fieldLine.slice(0, colon).toLowerCase()
    const value = fieldLine.slice(colon + 1).trim()
    fields[name] = fields[name] === undefined ? value : `${fields[name]}, ${value}`
  }
  const content = received.subarray(end + 4)
  const framed = early
    ? { body: Buffer.alloc(0), rest: Buffer.alloc(0) }
    : fields['transfer-encoding'] === 'chunked'
      ? readChunked(content)
      : readLength(content, Number(fields['content-length'] ?? 0))
  if (framed === undefined) return undefined
  const [method = '', target = ''] = line.split(' ')
  return { request: { line, method, target, fields, body: framed.body }, rest: framed.rest }
}

function readLength(content: Buffer, length: number): { body: Buffer; rest: Buffer } | undefined {
  if (content.length < length) return undefined
  return { body: content.subarray(0, length), rest: content.subarray(length) }
}

function readChunked(content: Buffer): { body: Buffer; rest: Buffer } | undefined {
  const chunks: Buffer[] = []
  for (let at = 0; ;) {
    const lineEnd = content.indexOf('\r\n', at)
    if (lineEnd === -1) return undefined
    const size = Number.parseInt(content.toString('latin1', at, lineEnd), 16)
    const next = lineEnd + 2 + size + 2
    if (content.length < next) return undefined
    if (size === 0) return { body: Buffer.concat(chunks), rest: content.subarray(next) }
    chunks.push(content.subarray(lineEnd + 2, next - 2))
    at = next
  }
}

/** A response with its length: the status line's end, the field lines, the body. */
export function response(status: string, fields: readonly string[] = [], body = ''): string {
  const length = Buffer.byteLength(body, 'latin1')
  return [`HTTP/1.1 ${status}`, ...fields, `Content-Length: ${length}`, '', body].join('\r\n')
}
