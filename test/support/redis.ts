// Real, throw-away Redis servers. A test starts its own and never uses one that was already running.
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Redis, type RedisOptions } from 'ioredis'
import type { Certificates } from './certificates.ts'
import { projectFolder } from './project-folder.ts'
import { guardedFolder } from './redis-guard.ts'
import { PortTaken, ended, launch } from './redis-process.ts'

export interface RedisServerOptions {
  /** TCP on 127.0.0.1: any free port (default), a given one, or `false` for none. */
  port?: boolean | number
  /** Also listen on a unix socket; with `port: false` the only way in. @default false */
  unixSocket?: boolean
  /** Command-line settings, such as `['--maxmemory', '2mb']`; they win over everything else. */
  args?: readonly string[]
  password?: string
  /** TLS at the port, and nothing else; the server needs no certificate of its clients. */
  tls?: Certificates
  /** A redis.conf to start from; address, folder, persistence and log stay the test's own. */
  configFile?: string
}

/** All of ioredis, but replies keep their usual shape. */
export type ClientOptions = Omit<RedisOptions, 'replyMapping'>

export interface RedisServer {
  /** What ioredis takes: `redis://…`, or the socket's path when there is no port. */
  readonly url: string
  /** 0 when the server has no TCP port. */
  readonly port: number
  readonly socket: string | undefined
  /** The running process; after `restart()` the new one. */
  readonly process: ChildProcess
  readonly pid: number
  /** A connection for the test itself: reconnects fast, ignores 'error' events, closed by `stop()`. */
  client(options?: ClientOptions): Redis
  /** Ends the server, a frozen one too, and removes its folder. Safe to call twice. */
  stop(): Promise<void>
  /** Sends a signal that ends the server, and waits until it has ended. @default 'SIGKILL' */
  kill(signal?: NodeJS.Signals): Promise<void>
  /** SIGSTOP: connections stay open and nothing answers. */
  freeze(): void
  /** SIGCONT. */
  thaw(): void
  /** Ends it if it still runs, then starts an empty server on the same port and socket. */
  restart(): Promise<void>
}

// Below the ephemeral ranges of Linux and macOS, so that no outgoing connection takes the port of a
// server that is down (a client that reconnects can even connect to itself), and low enough that the
// cluster bus, 10,000 higher, stays below them too.
export const PORTS = [10_240, 22_000] as const
const PORT_ATTEMPTS = 20

/** Starts a server, in about 30 ms. It dies with the test process, however that one ends. */
export async function startRedis(options: RedisServerOptions = {}): Promise<RedisServer> {
  const binary = await redisServer()
  const folder = mkdtempSync(join(guardedFolder(), 'redis-'))
  const { port = true } = options
  try {
    if (port !== true) return await start({ binary, folder, port: Number(port), options })
    return await startOnFreePort({ binary, folder, port: 0, options })
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    throw error
  }
}

interface Plan {
  binary: string
  folder: string
  port: number
  options: RedisServerOptions
}

// No port is probed first, which would be a race: the server itself takes it or says that it is taken.
async function startOnFreePort(plan: Plan, attempts = PORT_ATTEMPTS): Promise<RedisServer> {
  try {
    return await start({ ...plan, port: randomInt(...PORTS) })
  } catch (error) {
    if (!(error instanceof PortTaken) || attempts === 1) throw error
    return startOnFreePort(plan, attempts - 1)
  }
}

async function start(plan: Plan): Promise<RedisServer> {
  return new Server(plan, await launch(plan.binary, commandLine(plan), plan.folder))
}

function commandLine({ folder, port, options }: Plan): string[] {
  return [
    ...(options.configFile === undefined ? [] : [options.configFile]),
    ...portArguments(port, folder, options.tls),
    ...['--bind', '127.0.0.1', '--dir', folder],
    ...['--save', '', '--appendonly', 'no'],
    // Standard output at this level is where `launch` sees that the server is ready.
    ...['--daemonize', 'no', '--logfile', '', '--loglevel', 'notice'],
    ...(options.unixSocket === true ? ['--unixsocket', socketIn(folder)] : []),
    ...(options.password === undefined ? [] : ['--requirepass', options.password]),
    ...(options.args ?? []),
  ]
}

function portArguments(port: number, folder: string, tls: Certificates | undefined): string[] {
  if (tls === undefined) return ['--port', String(port)]
  const files = Object.entries(tls).flatMap(([name, pem]) => {
    const file = join(folder, `${name}.pem`)
    writeFileSync(file, pem as string)
    return [`--tls-${name === 'ca' ? 'ca-cert' : name}-file`, file]
  })
  return ['--port', '0', '--tls-port', String(port), ...files, '--tls-auth-clients', 'no']
}

const socketIn = (folder: string): string => join(folder, 'redis.sock')

function urlOf({ folder, port, options: { password, tls } }: Plan): string {
  if (port !== 0) {
    const credentials = password === undefined ? '' : `:${encodeURIComponent(password)}@`
    return `redis${tls ? 's' : ''}://${credentials}127.0.0.1:${port}`
  }
  const query = password === undefined ? '' : `?password=${encodeURIComponent(password)}`
  return socketIn(folder) + query
}

class Server implements RedisServer {
  readonly url: string
  readonly port: number
  readonly socket: string | undefined
  #process: ChildProcess
  readonly #plan: Plan
  readonly #clients: Redis[] = []

  constructor(plan: Plan, process: ChildProcess) {
    this.#plan = plan
    this.#process = process
    this.url = urlOf(plan)
    this.port = plan.port
    this.socket = plan.options.unixSocket === true ? socketIn(plan.folder) : undefined
  }

  get process(): ChildProcess {
    return this.#process
  }

  get pid(): number {
    return this.#process.pid ?? 0
  }

  client(options: ClientOptions = {}): Redis {
    const { folder, port, options: server } = this.#plan
    const address = port === 0 ? { path: socketIn(folder) } : { host: '127.0.0.1', port }
    const credentials = server.password === undefined ? {} : { password: server.password }
    const tls = server.tls === undefined ? {} : { tls: { ca: server.tls.ca } }
    const defaults = { ...address, ...credentials, ...tls, retryStrategy: () => 25 }
    const client = new Redis({ ...defaults, ...options })
    client.on('error', () => {}) // a test looks at what its commands return
    this.#clients.push(client)
    return client
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#process.kill(signal)
    await ended(this.#process)
  }

  freeze(): void {
    this.#process.kill('SIGSTOP')
  }

  thaw(): void {
    this.#process.kill('SIGCONT')
  }

  async restart(): Promise<void> {
    await this.kill()
    const { binary, folder } = this.#plan
    this.#process = await launch(binary, commandLine(this.#plan), folder)
  }

  async stop(): Promise<void> {
    // Disconnecting an ended client again would leave ioredis waiting for its socket for 2 s.
    for (const client of this.#clients.splice(0)) if (client.status !== 'end') client.disconnect()
    await this.kill()
    rmSync(this.#plan.folder, { recursive: true, force: true })
  }
}

let binary: Promise<string> | undefined

// The script is plain JavaScript outside the compiled tree, since it also runs before compilation.
export async function redisServer(): Promise<string> {
  const script = pathToFileURL(join(projectFolder(), 'scripts', 'redis-server.js')).href
  binary ??= (import(script) as Promise<{ redisServer(): Promise<string> }>).then((finder) =>
    finder.redisServer(),
  )
  return binary
}
