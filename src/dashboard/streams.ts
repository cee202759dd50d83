import type { Http2ServerResponse } from 'node:http2'
import type { FastifyBaseLogger, FastifyReply } from 'fastify'

import { DashboardBusyError } from '../errors.ts'
import type { State, Tick } from './messages.ts'
import { SECURITY_FIELDS } from './security-fields.ts'
import type { View } from './view.ts'

const MAX_STREAMS = 50
/** Then the page connects anew, and whoever may not see it any more is refused. */
const LONGEST_MS = 15 * 60_000
/** A client that has taken nothing for so long is gone. */
const STUCK_MS = 60_000
/** The end of a stream may wait so long for a client to take what is left. */
const ENDING_MS = 1000
/** Milliseconds after which a page whose stream has ended connects anew. */
const RETRY_MS = 1000

interface Stream {
  readonly response: FastifyReply['raw']
  readonly view: View
  readonly openedAt: number
  /** Since when it has not taken what was written; undefined where it has. */
  blockedAt: number | undefined
  /** Ticks went by that it was not told. */
  hasMissed: boolean
}

/** Who watches, and the one clock that tells them. Without anyone there is no clock. */
export class Streams {
  readonly #intervalMs: number
  readonly #log: FastifyBaseLogger
  readonly #open = new Set<Stream>()
  #timer: NodeJS.Timeout | undefined
  #isClosed = false

  constructor(intervalMs: number, log: FastifyBaseLogger) {
    this.#intervalMs = intervalMs
    this.#log = log
  }

  get count(): number {
    return this.#open.size
  }

  /** Throws where there is no room. */
  checkRoom(): void {
    if (this.#isClosed) throw new DashboardBusyError('the server is closing')
    if (this.count < MAX_STREAMS) return
    throw new DashboardBusyError(`${MAX_STREAMS} pages are open, and more are not served`)
  }

  /** The reply becomes a stream of events: this first, then a tick at each interval. */
  open(reply: FastifyReply, view: View, state: State): void {
    this.checkRoom()
    // Hooks of the application that wait for the end of a body, or pack it, would hold it back.
    reply.hijack()
    const { raw: response } = reply
    response.on('error', () => undefined)
    response.writeHead(200, headersOf(reply))
    const openedAt = performance.now()
    const stream: Stream = { response, view, openedAt, blockedAt: undefined, hasMissed: false }
    this.#open.add(stream)
    response.on('drain', () => (stream.blockedAt = undefined))
    response.once('close', () => this.#remove(stream))
    write(stream, `retry: ${RETRY_MS}\n${frameOf('state', state)}`)
    this.#timer ??= setInterval(() => this.#tick(), this.#intervalMs).unref()
  }

  /** Ends all, and lets no page keep the server from closing. */
  close(): void {
    this.#isClosed = true
    for (const stream of this.#open) {
      end(stream)
      // Connections of HTTP/2 outlive their streams, and a server that closes waits for them.
      const { stream: ofHttp2 } = stream.response as unknown as Partial<Http2ServerResponse>
      ofHttp2?.session?.close()
    }
  }

  #remove(stream: Stream): void {
    this.#open.delete(stream)
    if (this.#open.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }

  #tick(): void {
    try {
      const views = new Set([...this.#open].map(({ view }) => view))
      for (const view of views) this.#tell(view)
    } catch (error) {
      // Nobody is there to catch it, and the application is not to end for this.
      this.#log.error({ err: error }, 'the dashboard cannot tell how the cache stands')
      for (const { response } of this.#open) response.destroy()
    }
  }

  /** Each frame is made once, for all who watch this cache. */
  #tell(view: View): void {
    void view.refresh()
    const now = performance.now()
    const changes = frameOf('tick', view.changes())
    let whole: string | undefined
    for (const stream of this.#open) {
      if (stream.view !== view) continue
      if (isOver(stream, now)) end(stream)
      else if (stream.blockedAt !== undefined) stream.hasMissed = true
      else if (stream.hasMissed) write(stream, (whole ??= frameOf('tick', view.whole())))
      else write(stream, changes)
    }
  }
}

function isOver({ openedAt, blockedAt }: Stream, now: number): boolean {
  return now - openedAt > LONGEST_MS || (blockedAt !== undefined && now - blockedAt > STUCK_MS)
}

/** What waits for a client that takes nothing would keep the server from closing. */
function end({ response }: Stream): void {
  const timer = setTimeout(() => response.destroy(), ENDING_MS).unref()
  response.once('close', () => clearTimeout(timer))
  response.end()
}

function write(stream: Stream, frame: string): void {
  stream.hasMissed = false
  if (!stream.response.write(frame)) stream.blockedAt = performance.now()
}

function frameOf(event: 'state' | 'tick', data: State | Tick): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`
}

/** What hooks have set, and ours. A connection of HTTP/1 has no use after its stream. */
function headersOf(reply: FastifyReply): Record<string, string | string[] | number | undefined> {
  const fields = {
    ...reply.getHeaders(),
    ...SECURITY_FIELDS,
    'content-type': 'text/event-stream',
    'cache-control': 'no-store, no-transform',
    // nginx collects what it passes on, unless it is told not to.
    'x-accel-buffering': 'no',
  }
  return reply.request.raw.httpVersionMajor < 2 ? { ...fields, connection: 'close' } : fields
}
