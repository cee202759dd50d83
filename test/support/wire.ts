// HTTP/1.1 as bytes over connections that are kept alive: no client library has a say in what is sent,
// and an answer whose framing is wrong fails the next one on the same connection.
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { type Socket, connect } from 'node:net'
import type { TestContext } from 'node:test'

import { type Answer, type Client, PATIENCE_MS } from './app.ts'

const HEAD_END = '\r\n\r\n'
const BODYLESS = new Set([204, 304])

/** The bytes of a request without a body; `fields` are whole lines, as `Host: a.example`. */
export function requestText(
  target: string,
  fields: readonly string[] = [],
  method = 'GET',
): string {
  const host = fields.some((line) => /^host:/i.test(line)) ? [] : ['Host: localhost']
  return [`${method} ${target} HTTP/1.1`, ...host, ...fields, '', ''].join('\r\n')
}

/** One connection at a time; a new one after the server has closed the last. */
export class Wire {
  readonly #port: number
  #connection: Connection | undefined

  constructor(port: number) {
    this.#port = port
  }

  /** Sends a request as it stands (latin1), and reads its answer. */
  async ask(text: string): Promise<Answer> {
    const [answer] = await this.askAll([text])
    return answer!
  }

  /** Sends several requests in one piece, and reads their answers in turn. */
  async askAll(texts: readonly string[]): Promise<Answer[]> {
    this.#connection ??= await Connection.open(this.#port)
    const connection = this.#connection
    connection.write(texts.join(''))
    const answers: Answer[] = []
    for (const text of texts) {
      const answer = await connection.read(text.startsWith('HEAD '))
      answers.push(answer)
      // What Node refuses by itself it answers without saying that it closes.
      if (answer.headers.connection === 'close' || answer.status === 400) this.close()
    }
    return answers
  }

  get(target: string, fields: readonly string[] = []): Promise<Answer> {
    return this.ask(requestText(target, fields))
  }

  head(target: string, fields: readonly string[] = []): Promise<Answer> {
    return this.ask(requestText(target, fields, 'HEAD'))
  }

  /** To the same server, for a request at the same time. */
  another(): Wire {
    return new Wire(this.#port)
  }

  close(): void {
    this.#connection?.close()
    this.#connection = undefined
  }
}

/** A wire to the server of a client, closed with the test. */
export function wireTo(t: TestContext, { port }: Pick<Client, 'port'>): Wire {
  const wire = new Wire(port)
  t.after(() => wire.close())
  return wire
}

class Connection {
  readonly #socket: Socket
  readonly #incoming: AsyncIterator<Buffer>
  #received = Buffer.alloc(0)

  private constructor(socket: Socket) {
    this.#socket = socket
    this.#incoming = socket[Symbol.asyncIterator]()
  }

  static async open(port: number): Promise<Connection> {
    const socket = connect(port, '127.0.0.1')
    socket.setNoDelay(true)
    socket.setTimeout(PATIENCE_MS, () => socket.destroy(new Error('no answer in time')))
    await once(socket, 'connect')
    return new Connection(socket)
  }

  write(text: string): void {
    this.#socket.write(text, 'latin1')
  }

  close(): void {
    this.#socket.destroy()
  }

  async read(isHead: boolean): Promise<Answer> {
    const end = await this.#find(HEAD_END, 'a header section')
    const [statusLine = '', ...lines] = this.#take(end).toString('latin1').split('\r\n')
    this.#take(HEAD_END.length)
    const version = /^HTTP\/1\.1 (\d{3}) /.exec(statusLine)
    if (version === null) throw new Error(`no status line: ${JSON.stringify(statusLine)}`)
    const status = Number(version[1])
    if (status < 200) return this.read(isHead)
    const headers = headersOf(lines)
    const body = isHead || BODYLESS.has(status) ? Buffer.alloc(0) : await this.#body(headers)
    return { status, headers, rawHeaders: lines, trailers: {}, body, text: body.toString() }
  }

  async #body(headers: IncomingHttpHeaders): Promise<Buffer> {
    const length = headers['content-length']
    if (headers['transfer-encoding'] === 'chunked') {
      if (length !== undefined) throw new Error('Content-Length beside Transfer-Encoding')
      return this.#chunks()
    }
    if (length === undefined) return this.#rest()
    while (this.#received.length < Number(length)) await this.#more('a body')
    return this.#take(Number(length))
  }

  async #chunks(): Promise<Buffer> {
    const parts: Buffer[] = []
    for (;;) {
      const size = parseInt(this.#take(await this.#find('\r\n', 'a chunk size')).toString(), 16)
      this.#take(2)
      while (this.#received.length < size + 2) await this.#more('a chunk')
      parts.push(this.#take(size))
      if (this.#take(2).toString() !== '\r\n') throw new Error('a chunk without an end')
      if (size === 0) return Buffer.concat(parts)
    }
  }

  async #rest(): Promise<Buffer> {
    for (;;) {
      const { value, done } = await this.#incoming.next()
      if (done) return this.#take(this.#received.length)
      this.#received = Buffer.concat([this.#received, value])
    }
  }

  async #find(text: string, what: string): Promise<number> {
    for (;;) {
      const at = this.#received.indexOf(text)
      if (at !== -1) return at
      await this.#more(what)
    }
  }

  async #more(what: string): Promise<void> {
    const { value, done } = await this.#incoming.next()
    if (done)
      throw new Error(`closed while waiting for ${what}, after ${this.#received.length} bytes`)
    this.#received = Buffer.concat([this.#received, value])
  }

  #take(length: number): Buffer {
    const taken = this.#received.subarray(0, length)
    this.#received = this.#received.subarray(length)
    return taken
  }
}

function headersOf(lines: readonly string[]): IncomingHttpHeaders {
  const headers: Record<string, string | string[]> = {}
  for (const line of lines) {
    const colon = line.indexOf(':')
    const name = line.slice(0, colon).toLowerCase()
    const value = line.slice(colon + 1).trim()
    const had = headers[name]
    if (name === 'set-cookie') headers[name] = [...((had as string[]) ?? []), value]
    else headers[name] = had === undefined ? value : `${String(had)}, ${value}`
  }
  return headers
}
