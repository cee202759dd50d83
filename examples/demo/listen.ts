import type { IncomingMessage } from 'node:http'
import type { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'

const ATTEMPTS = 20

/** Listens on the port, or on the next free one, and returns which it is. */
export async function listenFrom(
  app: FastifyInstance,
  host: string,
  wanted: number,
): Promise<number> {
  noteUnused(app)
  // Port 0 is any free one, and never taken.
  const last = Math.min(wanted + ATTEMPTS, 65_535)
  for (let port = wanted; port <= last; port++) {
    if (await listens(app, host, port)) return portOf(app)
  }
  throw new Error(`The ports ${wanted} to ${last} are all taken; PORT=0 takes any free one.`)
}

async function listens(app: FastifyInstance, host: string, port: number): Promise<boolean> {
  try {
    await app.listen({ host, port })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') return false
    throw error
  }
}

/** Stops listening, once what was asked is answered. */
export async function closeServer(app: FastifyInstance): Promise<void> {
  // Closing ends the connections that are idle at its beginning. One that becomes idle after that
  // would be waited for until its client closes it, which a browser does after minutes.
  const sweeping = setInterval(() => {
    app.server.closeIdleConnections()
    for (const socket of unused.get(app) ?? []) socket.destroy()
  }, 50)
  try {
    await app.close()
  } finally {
    clearInterval(sweeping)
  }
}

const unused = new WeakMap<FastifyInstance, Set<Socket>>()

// Browsers and fetch open connections ahead of need. For Node one that was never used is not idle.
function noteUnused(app: FastifyInstance): void {
  const sockets = new Set<Socket>()
  unused.set(app, sockets)
  app.server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  app.server.on('request', ({ socket }: IncomingMessage) => sockets.delete(socket))
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}
