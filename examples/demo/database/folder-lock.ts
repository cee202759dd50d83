import { createHash } from 'node:crypto'
import { rmSync } from 'node:fs'
import { type Server, connect, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

// A file with a process id in it outlives the process, and the id gets used again (in a container at
// once). A listening socket ends with its process, however that one ends.

/** Takes the folder for this process; undefined when another running process has it. */
export async function lockFolder(folder: string): Promise<Server | undefined> {
  const path = socketPath(folder)
  for (let attempt = 0; attempt < 3; attempt++) {
    const server = await listen(path)
    if (server) return server
    if (await isAnswered(path)) return undefined
    rmSync(path, { force: true }) // left by a process that was killed
  }
  return undefined
}

// In the temporary folder under a short name: a socket's path may not be longer than 103 characters.
function socketPath(folder: string): string {
  const name = `cities-demo-${createHash('sha256').update(folder).digest('hex').slice(0, 16)}`
  return process.platform === 'win32' ? `\\\\.\\pipe\\${name}` : join(tmpdir(), `${name}.lock`)
}

function listen(path: string): Promise<Server | undefined> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy())
    server.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EADDRINUSE') resolve(undefined)
      else reject(error)
    })
    server.listen(path, () => resolve(server.unref()))
  })
}

function isAnswered(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    // Anything but "nobody listens" (no permission, for one) is somebody else's.
    socket.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
}
