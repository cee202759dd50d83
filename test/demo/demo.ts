// The demo as `npm start` runs it: a process of its own, with its database's process below it.
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { type IncomingHttpHeaders, request } from 'node:http'
import { dirname, join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { guardedFolder } from '../support/redis-guard.ts'

const MAIN = join(dirname(dirname(import.meta.dirname)), 'examples', 'demo', 'main.js')
const STARTING_MS = 90_000

export interface Answer {
  status: number
  headers: IncomingHttpHeaders
  /** What Cache-Status says, without the cache's name. */
  cache: string | undefined
  // oxlint-disable-next-line typescript/no-explicit-any
  body: any
}

export interface DemoOptions {
  env?: Record<string, string>
  /** Where PGlite keeps its files; a new folder when left out. */
  dataFolder?: string
}

/** A demo that was started; `ready()` before anything is asked of it. */
export class Demo {
  readonly process: ChildProcess
  readonly dataFolder: string
  output = ''

  constructor({ env = {}, dataFolder = newDataFolder() }: DemoOptions = {}) {
    this.dataFolder = dataFolder
    this.process = spawn(process.execPath, [MAIN], {
      env: { ...cleanEnvironment(), PORT: '0', DEMO_DATA_DIR: dataFolder, ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Read by redis-guard's shell: the demo ends with the tests, however these end.
    const folder = mkdtempSync(join(guardedFolder(), 'demo-'))
    writeFileSync(join(folder, 'pid'), String(this.process.pid))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text
      })
    }
  }

  async ready(): Promise<this> {
    await this.printed(/Ctrl\+C stops it/, STARTING_MS)
    return this
  }

  /** Resolves once the output matches; fails early when the demo ends before. */
  async printed(pattern: RegExp, withinMs = 30_000): Promise<void> {
    await eventually(
      () => {
        if (pattern.test(this.output)) return true
        assert.ok(this.isRunning, `the demo ended; it printed:\n${this.output}`)
        return false
      },
      () => `${pattern} was not printed, but:\n${this.output}`,
      withinMs,
    )
  }

  get isRunning(): boolean {
    return this.process.exitCode === null && this.process.signalCode === null
  }

  /** What the startup screen says beside a word in its first column. */
  line(name: string): string {
    return new RegExp(`^  ${name} +(.*)$`, 'm').exec(this.output)?.[1] ?? ''
  }

  get databaseUrl(): string {
    return /postgresql:\S+/.exec(this.line('Database'))?.[0] ?? ''
  }

  /** The processes that this one has started. */
  get children(): number[] {
    return childrenOf(this.process.pid ?? 0)
  }

  async get(path: string, headers: Record<string, string> = {}): Promise<Answer> {
    return this.send('GET', path, { headers })
  }

  async send(
    method: string,
    path: string,
    { body, headers = {} }: { body?: unknown; headers?: Record<string, string> } = {},
  ): Promise<Answer> {
    const content = body === undefined ? undefined : JSON.stringify(body)
    const type = content === undefined ? {} : { 'content-type': 'application/json' }
    const sent = request(`${this.line('API')}${path}`, { method, headers: { ...type, ...headers } })
    const arriving = once(sent, 'response')
    sent.end(content)
    const [response] = await arriving
    response.setEncoding('utf8')
    let text = ''
    for await (const chunk of response) text += chunk
    const isJson = /json/.test(response.headers['content-type'] ?? '')
    return {
      status: response.statusCode,
      headers: response.headers,
      cache: response.headers['cache-status']?.replace(/^fastify; /, ''),
      body: isJson ? JSON.parse(text) : text,
    }
  }

  /** Sends the signal, and waits until the demo has ended. */
  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<{ code: number | null }> {
    this.process.kill(signal)
    return this.ended()
  }

  async ended(): Promise<{ code: number | null }> {
    await eventually(
      () => !this.isRunning,
      () => `the demo still runs; it printed:\n${this.output}`,
    )
    return { code: this.process.exitCode }
  }
}

export function startDemo(options?: DemoOptions): Promise<Demo> {
  return new Demo(options).ready()
}

export function newDataFolder(): string {
  return mkdtempSync(join(guardedFolder(), 'data-'))
}

// What the developer's own shell has set must not reach the demo under test.
function cleanEnvironment(): NodeJS.ProcessEnv {
  const own = [
    ...['HOST', 'DATABASE_URL', 'LOG_LEVEL', 'NODE_OPTIONS', 'FORCE_COLOR'],
    ...['SESSION_SECRET', 'DASHBOARD_PASSWORD'],
  ]
  const others = Object.entries(process.env).filter(
    ([name]) => own.every((each) => each !== name) && !name.startsWith('REDIS_'),
  )
  return Object.fromEntries(others)
}

export function childrenOf(pid: number): number[] {
  try {
    return execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' })
      .split('\n')
      .filter(Boolean)
      .map(Number)
  } catch {
    return [] // pgrep's way to say that there are none
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}

/** Waits, in bounded time, for something that another process does. */
export async function eventually(
  condition: () => boolean | Promise<boolean>,
  complaint: () => string,
  withinMs = 30_000,
): Promise<void> {
  const lastLook = performance.now() + withinMs
  while (!(await condition())) {
    if (performance.now() > lastLook) assert.fail(complaint())
    await pause(20)
  }
}
