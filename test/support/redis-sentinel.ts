// A master, its replica and the sentinels that watch them, made of throw-away processes.
import type { ChildProcess } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Redis } from 'ioredis'

import { eventually } from './clock.ts'
import { guardedFolder } from './redis-guard.ts'
import { PortTaken, ended, launch } from './redis-process.ts'
import { PORTS, type RedisServer, redisServer, startRedis } from './redis.ts'

export interface SentinelOptions {
  /** @default 1 */
  replicas?: number
  /** @default 3 */
  sentinels?: number
  /** How long a server may be silent before a sentinel takes it for dead. @default 500 */
  downAfterMs?: number
  /** Settings for master and replicas, as on the command line. */
  args?: readonly string[]
}

export interface RedisSentinel {
  /** What ioredis takes as `name`. */
  readonly name: string
  /** What ioredis takes as `sentinels`. */
  readonly sentinels: { host: string; port: number }[]
  /** The one that is master at the start, then its replicas. */
  readonly nodes: readonly RedisServer[]
  /** The server that the sentinels name as master now. */
  master(): Promise<RedisServer>
  /** Resolves when the sentinels name another one and that accepts writes. */
  failedOverFrom(old: RedisServer): Promise<RedisServer>
  stop(): Promise<void>
}

const NAME = 'cache'
const READY_TIMEOUT_MS = 30_000
// The first copy at once, and a replica that counts as such at once.
const NODE_ARGS = ['--repl-diskless-sync-delay', '0', '--repl-ping-replica-period', '1']

interface SentinelProcess {
  readonly process: ChildProcess
  readonly folder: string
  readonly port: number
}

/** Starts everything and waits until the sentinels know each other and every replica. */
export async function startSentinel(options: SentinelOptions = {}): Promise<RedisSentinel> {
  const { replicas = 1, sentinels: count = 3, downAfterMs = 500, args = [] } = options
  const nodes: RedisServer[] = [await startRedis({ args: [...NODE_ARGS, ...args] })]
  const watchers: SentinelProcess[] = []
  const clients: Redis[] = []
  const stop = async (): Promise<void> => {
    for (const client of clients.splice(0)) client.disconnect()
    await Promise.all([...watchers.map(stopSentinel), ...nodes.map((node) => node.stop())])
  }
  try {
    const [master] = nodes as [RedisServer]
    const replicaOf = ['--replicaof', `127.0.0.1 ${master.port}`]
    for (let n = 0; n < replicas; n++) {
      nodes.push(await startRedis({ args: [...NODE_ARGS, ...replicaOf, ...args] }))
    }
    const quorum = Math.floor(count / 2) + 1
    for (let n = 0; n < count; n++) {
      watchers.push(await launchSentinel(configuration(master.port, quorum, downAfterMs)))
    }
    clients.push(...watchers.map(({ port }) => connect(port)))
    await Promise.all(clients.map(hurry))
    await eventually(
      'the sentinels know each other and the replicas',
      async () =>
        (await Promise.all(clients.map((each) => knows(each, count, replicas)))).every(Boolean),
      READY_TIMEOUT_MS,
    )
  } catch (error) {
    await stop()
    throw error
  }
  const master = async (): Promise<RedisServer> => {
    const port = await masterPort(clients[0]!)
    return nodes.find((node) => node.port === port)!
  }
  const failedOverFrom = async (old: RedisServer): Promise<RedisServer> => {
    await eventually('another master', async () => (await master()) !== old, READY_TIMEOUT_MS)
    const successor = await master()
    const client = successor.client()
    await eventually('it accepts writes', async () =>
      (await client.info('replication')).includes('role:master'),
    )
    return successor
  }
  const sentinels = watchers.map(({ port }) => ({ host: '127.0.0.1', port }))
  return { name: NAME, sentinels, nodes, master, failedOverFrom, stop }
}

function configuration(masterPort: number, quorum: number, downAfterMs: number): string {
  return [
    'bind 127.0.0.1',
    'loglevel notice',
    `sentinel monitor ${NAME} 127.0.0.1 ${masterPort} ${quorum}`,
    `sentinel down-after-milliseconds ${NAME} ${downAfterMs}`,
    // Twice this after a vote without a winner they vote again.
    `sentinel failover-timeout ${NAME} 2000`,
    `sentinel parallel-syncs ${NAME} 1`,
    '',
  ].join('\n')
}

/** A sentinel writes to its file, so each has one of its own. */
async function launchSentinel(text: string, attempts = 20): Promise<SentinelProcess> {
  const folder = mkdtempSync(join(guardedFolder(), 'sentinel-'))
  const port = randomInt(...PORTS)
  const file = join(folder, 'sentinel.conf')
  writeFileSync(file, `port ${port}\ndir ${folder}\n${text}`)
  try {
    const process = await launch(await redisServer(), [file, '--sentinel'], folder)
    return { process, folder, port }
  } catch (error) {
    rmSync(folder, { recursive: true, force: true })
    if (!(error instanceof PortTaken) || attempts === 1) throw error
    return launchSentinel(text, attempts - 1)
  }
}

async function stopSentinel({ process, folder }: SentinelProcess): Promise<void> {
  process.kill('SIGKILL')
  await ended(process)
  rmSync(folder, { recursive: true, force: true })
}

function connect(port: number): Redis {
  const client = new Redis({ host: '127.0.0.1', port, retryStrategy: () => 25 })
  client.on('error', () => {})
  return client
}

/** What a sentinel does every 1 to 10 s, it does at once; from Redis 7.0 on, before that it takes longer. */
async function hurry(client: Redis): Promise<void> {
  const periods = { PING: 100, INFO: 200, ASK: 200, PUBLISH: 200, 'DEFAULT-DOWN-AFTER': 500 }
  for (const [name, milliseconds] of Object.entries(periods)) {
    const option = name.startsWith('DEFAULT') ? name : `${name}-PERIOD`
    await client.call('SENTINEL', 'DEBUG', option, milliseconds).catch(() => {})
  }
}

async function knows(client: Redis, sentinels: number, replicas: number): Promise<boolean> {
  const flat = (await client.call('SENTINEL', 'MASTER', NAME)) as string[]
  const value = (name: string): number => Number(flat[flat.indexOf(name) + 1])
  if (value('num-other-sentinels') !== sentinels - 1) return false
  if (value('num-slaves') !== replicas) return false
  const others = (await client.call('SENTINEL', 'REPLICAS', NAME)) as string[][]
  return others.every(
    (fields) =>
      fields[fields.indexOf('master-link-status') + 1] === 'ok' &&
      fields[fields.indexOf('flags') + 1] === 'slave',
  )
}

async function masterPort(client: Redis): Promise<number> {
  const address = (await client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', NAME)) as string[]
  return Number(address[1])
}
