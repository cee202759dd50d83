// docker-compose.yml without Docker: its services as processes of this machine, started with the very
// commands, files and variables that stand there.
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { randomInt } from 'node:crypto'
import { delimiter, dirname, join } from 'node:path'
import { promisify } from 'node:util'

import { parse } from 'yaml'

import { guardedFolder } from './redis-guard.ts'
import { PortTaken, ended, launch } from './redis-process.ts'
import { PORTS, type RedisServer, redisServer, startRedis } from './redis.ts'

export interface Service {
  image?: string
  build?: { context: string; dockerfile: string }
  command?: string[]
  environment?: Record<string, string>
  volumes?: string[]
  ports?: string[]
  profiles?: string[]
  healthcheck?: { test: string[]; interval: string; timeout: string; retries: number }
  depends_on?: Record<string, { condition: string }>
  restart?: string
  user?: string
}

export const ROOT: string = (() => {
  let folder = import.meta.dirname
  while (!existsSync(join(folder, 'package.json'))) folder = dirname(folder)
  return folder
})()
export const CONF_FOLDER = '/usr/local/etc/redis/'
export const PASSWORD = 'a-password_1'

const run = promisify(execFile)

export function readCompose(): { services: Record<string, Service>; volumes: object } {
  return parse(readFileSync(join(ROOT, 'docker-compose.yml'), 'utf8'), { merge: true }) as never
}

export function serviceOf(name: string): Service {
  const service = readCompose().services[name]
  if (service === undefined) throw new Error(`docker-compose.yml has no service ${name}`)
  return service
}

/** As Compose fills in variables, none of them set but the password. */
export function filledIn(text: string): string {
  return text.replace(/\$\{(\w+):([?-])([^}]*)\}/g, (_all, name: string, kind, rest) => {
    if (name === 'REDIS_PASSWORD') return PASSWORD
    if (kind === '?') throw new Error(`${name} has to be set: ${rest}`)
    return rest as string
  })
}

// A copy for each service: a failover has the servers rewrite their files, which in the containers are
// read-only.
function copyOfFiles(): string {
  const folder = mkdtempSync(join(guardedFolder(), 'docker-'))
  cpSync(join(ROOT, 'docker'), folder, { recursive: true })
  return `${folder}/`
}

/** The command of a service on this machine; addresses of services are replaced as told. */
function commandOf({ command = [] }: Service, addresses: Record<string, string> = {}): string[] {
  const files = copyOfFiles()
  const local = command.map((each) => filledIn(each).replace(CONF_FOLDER, files))
  return local.map((each) => addresses[each] ?? each)
}

export function environmentOf(
  { environment = {} }: Service,
  replaced: Record<string, string> = {},
): Record<string, string> {
  const filled = Object.entries(environment).map(([name, value]) => [name, filledIn(value)])
  return { ...(Object.fromEntries(filled) as Record<string, string>), ...replaced }
}

/** Starts the redis-server of a service. */
export function startServer(
  name: string,
  addresses: Record<string, string> = {},
): Promise<RedisServer> {
  const [program, configFile = '', ...args] = commandOf(serviceOf(name), addresses)
  if (program !== 'redis-server') throw new Error(`${name} starts ${program}`)
  return startRedis({ configFile, args, password: PASSWORD })
}

/** Runs the script of a service until it has ended, and returns what it printed. */
export async function runScriptOf(name: string, env: Record<string, string>): Promise<string> {
  const service = serviceOf(name)
  const [shell = '', ...args] = commandOf(service)
  const { stdout } = await run(shell, args, {
    env: { ...process.env, PATH: await pathWith(), ...environmentOf(service, env) },
    timeout: 90_000,
  })
  return stdout
}

export interface SentinelProcess {
  port: number
  stop(): Promise<void>
}

/** Starts the script of a sentinel, which becomes the server. */
export async function startSentinelOf(
  name: string,
  primary: RedisServer,
  attempts = 20,
): Promise<SentinelProcess> {
  const service = serviceOf(name)
  const folder = mkdtempSync(join(guardedFolder(), 'compose-'))
  const port = randomInt(...PORTS)
  const env = environmentOf(service, {
    REDIS_PRIMARY: `127.0.0.1 ${primary.port}`,
    SENTINEL_DIR: folder,
    PATH: await pathWith(),
  })
  const variables = Object.entries(env).map(([variable, value]) => `${variable}=${value}`)
  const command = commandOf(service)
  try {
    const args = [...variables, ...command, '--port', String(port), '--bind', '127.0.0.1']
    const child = await launch('env', args, folder)
    const stop = async (): Promise<void> => {
      child.kill('SIGKILL')
      await ended(child)
      rmSync(folder, { recursive: true, force: true })
    }
    return { port, stop }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    if (!(error instanceof PortTaken) || attempts === 1) throw error
    return startSentinelOf(name, primary, attempts - 1)
  }
}

/** What the health check of a service says of a server of it here. */
export async function isHealthy(name: string, port: number): Promise<boolean> {
  const service = serviceOf(name)
  const [kind, command = ''] = service.healthcheck?.test ?? []
  if (kind !== 'CMD-SHELL') throw new Error(`${name} has no health check for a shell`)
  const env = { ...process.env, PATH: await pathWith(port), ...environmentOf(service) }
  return run('sh', ['-c', command.replace('-p 26379', '')], { env }).then(
    () => true,
    () => false,
  )
}

const folders = new Map<number, string>()

/** A PATH on which the programs of the image are found; redis-cli asks the port when there is one. */
async function pathWith(port = 0): Promise<string> {
  let folder = folders.get(port)
  if (folder === undefined) {
    const server = await redisServer()
    const cli = ['redis-cli', 'valkey-cli'].map((name) => join(dirname(server), name))
    folder = mkdtempSync(join(guardedFolder(), 'bin-'))
    const programs = {
      'redis-server': `exec '${server}' "$@"`,
      'redis-cli': `exec '${cli.find((file) => existsSync(file))}' ${port === 0 ? '' : `-p ${port}`} "$@"`,
    }
    for (const [name, line] of Object.entries(programs)) {
      writeFileSync(join(folder, name), `#!/bin/sh\n${line}\n`)
      chmodSync(join(folder, name), 0o755)
    }
    folders.set(port, folder)
  }
  return `${folder}${delimiter}${process.env['PATH']}`
}
