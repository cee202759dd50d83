import { type Socket, connect } from 'node:net'

/** A plain client: fixed connections, one request in flight on each, a fixed number in all. */
export async function load(
  port: number,
  requests: number,
  { connections = 32, path }: { connections?: number; path: (index: number) => string },
): Promise<void> {
  let next = 0
  let done = false
  // A client that sleeps has to be woken by the server's write, and on a virtual machine that costs
  // the server more than the request: it would punish whichever variant is slower twice.
  const stayAwake = (): void => {
    if (!done) setImmediate(stayAwake)
  }
  stayAwake()
  await Promise.all(
    Array.from({ length: connections }, () => {
      const socket = connect({ port, host: '127.0.0.1', noDelay: true })
      return run(socket, () => (next < requests ? path(next++) : undefined))
    }),
  ).finally(() => {
    done = true
  })
}

function run(socket: Socket, nextPath: () => string | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    let missing = 0
    const ask = (): void => {
      const path = nextPath()
      if (path === undefined) {
        socket.destroy()
        resolve()
      } else socket.write(`GET ${path} HTTP/1.1\r\nHost: bench.example\r\n\r\n`)
    }
    socket.on('connect', ask)
    socket.on('error', reject)
    socket.on('data', (chunk) => {
      if (missing === 0) {
        const head = chunk.indexOf('\r\n\r\n')
        const text = chunk.toString('latin1', 0, head).toLowerCase()
        if (!text.startsWith('http/1.1 200')) return reject(new Error(text))
        const length = /content-length: (\d+)/.exec(text)
        missing = head + 4 + Number(length![1])
      }
      missing -= chunk.length
      if (missing === 0) ask()
    })
  })
}
