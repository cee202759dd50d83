import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

import type { DatabaseMessage } from './messages.ts'

/** A running database process. */
export interface PGliteProcess {
  pid: number
  url: string
  version: string
  /** Undefined when the database is in memory. */
  folder: string | undefined
  /** What the user should know about how it was started. */
  notes: string[]
  /** Settles when the process ends without having been stopped, with what to tell the user. */
  crashed: Promise<string>
  stop(): Promise<void>
}

interface Start {
  folder: string | undefined
  /** Remove what is there and begin with an empty database. */
  anew: boolean
}

type Outcome = { child: ChildProcess; message: DatabaseMessage }

const STARTING_BUDGET_MS = 60_000
const STOPPING_BUDGET_MS = 5000
const PROGRAM = new URL('./pglite-child.js', import.meta.url)

/** Starts PGlite on the folder; on an empty one when the files in it turn out to be damaged. */
export async function startPGlite(folder: string): Promise<PGliteProcess> {
  const first = await start({ folder, anew: false })
  if (first.message.type === 'ready') return running(first, folder, [])
  if (first.message.type === 'locked') return startInMemory(folder)
  const damaged = `The database in ${folder} could not be opened (${first.message.reason}): it was made anew.`
  const second = await start({ folder, anew: true })
  if (second.message.type === 'ready') return running(second, folder, [damaged])
  throw unusable(second.message, `in ${folder}`)
}

async function startInMemory(folder: string): Promise<PGliteProcess> {
  const note =
    `Another demo uses ${folder}: this one has its own copy of the data, in memory. ` +
    'DEMO_DATA_DIR chooses another folder, DATABASE_URL a PostgreSQL that both can use.'
  const { child, message } = await start({ folder: undefined, anew: false })
  if (message.type === 'ready') return running({ child, message }, undefined, [note])
  throw unusable(message, 'in memory')
}

function unusable(message: DatabaseMessage, where: string): Error {
  const reason = message.type === 'failed' ? message.reason : message.type
  return new Error(
    `PGlite could not be started ${where}: ${reason}. ` +
      'Set DEMO_DATA_DIR to a folder that can be written, or DATABASE_URL to a PostgreSQL server.',
  )
}

/** Resolves with the child's first message, whatever happens to the child. */
async function start({ folder, anew }: Start): Promise<Outcome> {
  const child = fork(PROGRAM, [folder ?? '', anew ? 'anew' : 'keep'], {
    execArgv: [], // --inspect and the like are meant for the server
    stdio: ['ignore', 'ignore', 'pipe', 'ipc'],
  })
  const complaint = lastLines(child)
  const waiting = new AbortController()
  const { signal } = waiting
  const timer = setTimeout(() => waiting.abort(), STARTING_BUDGET_MS)
  // While PostgreSQL makes its files its process sees nothing else for seconds. Nothing is lost yet.
  const kill = (): void => void child.kill('SIGKILL')
  process.on('exit', kill)
  try {
    const message = await Promise.race([
      once(child, 'message', { signal }).then(([first]) => first as DatabaseMessage),
      once(child, 'exit', { signal }).then(([code, by]): DatabaseMessage => {
        return { type: 'failed', reason: `its process ended: ${complaint() || (by ?? code)}` }
      }),
    ])
    if (message.type !== 'ready') await stop(child)
    return { child, message }
  } catch {
    kill()
    const reason = `no answer within ${STARTING_BUDGET_MS / 1000} s`
    return { child, message: { type: 'failed', reason } }
  } finally {
    process.off('exit', kill)
    clearTimeout(timer)
    waiting.abort()
  }
}

// A WebAssembly crash prints pages; its last lines say what it was.
function lastLines(child: ChildProcess): () => string {
  let text = ''
  child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    text = (text + chunk).slice(-4000)
  })
  return () => text.trim().split('\n').slice(-3).join(' ').slice(0, 300)
}

function running(
  { child, message }: Outcome,
  folder: string | undefined,
  notes: string[],
): PGliteProcess {
  if (message.type !== 'ready') throw new Error('unreachable: the database is not ready')
  let stopped = false
  const crashed = once(child, 'exit').then(([code, signal]) =>
    stopped ? new Promise<string>(() => {}) : `The database process ended (${signal ?? code}).`,
  )
  return {
    pid: child.pid ?? 0,
    url: `postgresql://postgres@127.0.0.1:${message.port}/postgres`,
    version: message.version,
    folder,
    notes,
    crashed,
    stop: () => {
      stopped = true
      return stop(child)
    },
  }
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = once(child, 'exit')
  if (child.connected) child.disconnect()
  const timer = setTimeout(() => child.kill('SIGKILL'), STOPPING_BUDGET_MS)
  await ended
  clearTimeout(timer)
}
