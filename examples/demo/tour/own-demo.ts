import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url))

/** A demo that was started for the tour. */
export interface OwnDemo {
  url: string
  stop(): Promise<void>
}

/** Starts a demo at a free port; REDIS_URL and the rest are those of this process. */
export async function startOwnDemo(): Promise<OwnDemo> {
  const child = spawn(process.execPath, [MAIN], {
    env: { ...process.env, PORT: '0' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  // However this process ends: a demo without its tour is of no use.
  process.on('exit', () => child.kill())
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130))
  return { url: await urlOf(child), stop: () => stop(child) }
}

// Its output is read to its end: a demo whose output nobody takes ends with the next line of it.
function urlOf(child: ChildProcess): Promise<string> {
  let printed = ''
  return new Promise((resolve, reject) => {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      printed = (printed + text).slice(-10_000)
      const url = /^ {2}API +(\S+)/m.exec(printed)?.[1]
      if (url !== undefined && printed.includes('Ctrl+C')) resolve(url)
    })
    child.once('exit', () => reject(new Error(`The demo did not start; it printed:\n${printed}`)))
  })
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  child.kill()
  await ended
}
