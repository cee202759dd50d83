// An address that leads to one server and later to another, as a name or a load balancer does.
import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'

import type { RedisServer } from '../support/redis.ts'

export class Endpoint {
  readonly port: number
  readonly #server: Server
  readonly #sockets: Set<Socket>
  readonly #leadTo: (server: RedisServer) => void

  static async open(target: RedisServer): Promise<Endpoint> {
    let { port } = target
    const sockets = new Set<Socket>()
    const server = createServer((incoming) => {
      const outgoing = connect(port, '127.0.0.1')
      for (const [from, to] of [
        [incoming, outgoing],
        [outgoing, incoming],
      ] as const) {
        sockets.add(from)
        from.on('error', () => {})
        from.on('close', () => {
          sockets.delete(from)
          to.destroy()
        })
        from.pipe(to)
      }
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    return new Endpoint(server, sockets, (next) => {
      ;({ port } = next)
    })
  }

  private constructor(server: Server, sockets: Set<Socket>, leadTo: Endpoint['leadTo']) {
    this.#server = server
    this.#sockets = sockets
    this.#leadTo = leadTo
    this.port = (server.address() as AddressInfo).port
  }

  /** New connections go there; those that are open stay where they are. */
  leadTo(server: RedisServer): void {
    this.#leadTo(server)
  }

  cut(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  close(): void {
    this.#server.close()
    this.cut()
  }
}
