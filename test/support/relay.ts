// A way to a server that can be held up, cut, and led elsewhere: what a network does, or a virtual
// address that a failover moves.
import { once } from 'node:events'
import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net'
import type { TestContext } from 'node:test'

export class Relay {
  readonly #sockets = new Set<Socket>()
  readonly #pairs = new WeakMap<Socket, Socket>()
  readonly #server: Server
  #target: number

  /** Passes everything on to the port, until it is told otherwise. */
  static async start(t: TestContext, target: number): Promise<Relay> {
    const relay = new Relay(target)
    t.after(() => relay.stop())
    relay.#server.listen(0, '127.0.0.1')
    await once(relay.#server, 'listening')
    return relay
  }

  private constructor(target: number) {
    this.#target = target
    this.#server = createServer((near) => this.#pass(near))
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port
  }

  /** What arrives from now on stays here; new connections get no further either. */
  holdUp(): void {
    for (const socket of this.#sockets) socket.unpipe().pause()
    this.#server.removeAllListeners('connection')
    this.#server.on('connection', (socket) => this.#sockets.add(socket.on('error', () => {})))
  }

  /** What was held up arrives, and all that follows; what came new meanwhile is cut. */
  release(): void {
    this.#server.removeAllListeners('connection')
    this.#server.on('connection', (socket) => this.#pass(socket))
    for (const socket of this.#sockets) {
      const other = this.#pairs.get(socket)
      if (other) socket.pipe(other)
      else socket.destroy()
    }
  }

  /** What is connected now hears nothing any more, nor that it is over; what connects then, does. */
  strand(): void {
    this.holdUp()
    this.#server.removeAllListeners('connection')
    this.#server.on('connection', (socket) => this.#pass(socket))
  }

  /** Cuts every connection; those that follow lead to this port. */
  leadTo(target: number): void {
    this.#target = target
    for (const socket of this.#sockets) socket.destroy()
  }

  stop(): void {
    for (const socket of this.#sockets) socket.destroy()
    this.#server.close()
  }

  #pass(near: Socket): void {
    const far = connect(this.#target, '127.0.0.1')
    for (const socket of [near, far]) {
      this.#sockets.add(socket)
      socket.on('error', () => {})
      socket.on('close', () => {
        near.destroy()
        far.destroy()
        this.#sockets.delete(socket)
      })
    }
    this.#pairs.set(near, far).set(far, near)
    near.pipe(far)
    far.pipe(near)
  }
}
