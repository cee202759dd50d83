import type { FastifyInstance } from 'fastify'

const ATTEMPTS = 20

/** Listens on the port, or on the next free one, and returns which it is. */
export async function listenFrom(
  app: FastifyInstance,
  host: string,
  wanted: number,
): Promise<number> {
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
  const sweeping = setInterval(() => app.server.closeIdleConnections(), 50)
  try {
    await app.close()
  } finally {
    clearInterval(sweeping)
  }
}

function portOf(app: FastifyInstance): number {
  const address = app.server.address()
  return address !== null && typeof address === 'object' ? address.port : 0
}
