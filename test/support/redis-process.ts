// One redis-server process from its start until it is ready, and until it has ended.
import { type ChildProcess, spawn } from 'node:child_process'
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Another process listens on the port. */
export class PortTaken extends Error {}

const START_TIMEOUT_MS = 15_000
const READY = /ready to accept connections|Sentinel ID is/i
const TAKEN = /Address already in use|Failed listening on port/

/** Starts `binary` with its process id in `<folder>/pid`, for the guard, and waits until it is ready. */
export async function launch(
  binary: string,
  args: readonly string[],
  folder: string,
): Promise<ChildProcess> {
  const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const pidFile = join(folder, 'pid')
  if (child.pid !== undefined) writeFileSync(pidFile, String(child.pid))
  child.once('exit', () => rmSync(pidFile, { force: true }))
  await ready(child, [binary, ...args].join(' '))
  // A test that forgets stop() still ends, and the guard then ends the server.
  child.unref()
  Object(child.stdout).unref()
  Object(child.stderr).unref()
  return child
}

function ready(child: ChildProcess, command: string): Promise<void> {
  return new Promise((resolve, reject) => {
    let log = ''
    const fail = (why: string): void => {
      clearTimeout(timer)
      child.kill('SIGKILL')
      const Kind = TAKEN.test(log) ? PortTaken : Error
      reject(new Kind(`${command}\n${why}; it printed:\n${log}`))
    }
    const timer = setTimeout(fail, START_TIMEOUT_MS, `not ready after ${START_TIMEOUT_MS} ms`)
    const read = (chunk: Buffer): void => {
      log = (log + chunk.toString()).slice(-8000)
      if (!READY.test(log)) return
      clearTimeout(timer)
      resolve()
    }
    // Read for ever, not only until it is ready: a server with a full pipe stands still.
    child.stdout?.on('data', read)
    child.stderr?.on('data', read)
    child.once('error', (error) => fail(error.message))
    child.once('close', (code, signal) => fail(`ended with ${code ?? signal}`))
  })
}

/** Resolves once the process has ended, at once when it had ended before. */
export function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return Promise.resolve()
  child.ref()
  return new Promise((resolve) => child.once('exit', () => resolve()))
}
