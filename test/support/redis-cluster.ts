// A Redis Cluster on loopback, made of throw-away servers.
import { Cluster, type Redis } from 'ioredis'
import { setTimeout as sleep } from 'node:timers/promises'
import { type RedisServer, startRedis } from './redis.ts'

export interface RedisClusterOptions {
  /** @default 3 */
  masters?: number
  /** Replicas of each master. @default 0 */
  replicas?: number
  /** Settings for every node, as on the command line. */
  args?: readonly string[]
}

export interface RedisCluster {
  /** The masters, then the replicas: first one of each master, then the second of each, and so on. */
  readonly nodes: readonly RedisServer[]
  /** What `new Cluster(…)` takes. */
  readonly startupNodes: { host: string; port: number }[]
  /** A connection for the test itself, closed by `stop()`. */
  client(): Cluster
  stop(): Promise<void>
}

const SLOTS = 16_384
const READY_TIMEOUT_MS = 30_000
const CLUSTER_ARGS = [
  ...['--cluster-enabled', 'yes', '--cluster-node-timeout', '1000'],
  // A cluster of one has met nobody who could have told it its address.
  ...['--cluster-announce-ip', '127.0.0.1'],
]
const REPLICA_ARGS = [
  // The first copy at once, instead of 5 s later for the sake of other replicas.
  ...['--repl-diskless-sync-delay', '0'],
  // A replica is announced only after its master's first ping, 10 s later by default.
  ...['--repl-ping-replica-period', '1'],
  // May take over however long ago it last heard its master: tests freeze masters for seconds.
  ...['--cluster-replica-validity-factor', '0'],
]

/** Starts the nodes, joins them, and waits until every node says that the cluster is ready. */
export async function startCluster(options: RedisClusterOptions = {}): Promise<RedisCluster> {
  const { masters = 3, replicas = 0, args = [] } = options
  const nodes: RedisServer[] = []
  const clusters: Cluster[] = []
  const stop = async (): Promise<void> => {
    for (const cluster of clusters.splice(0)) cluster.disconnect()
    await Promise.all(nodes.map((node) => node.stop()))
  }
  try {
    const count = masters * (1 + replicas)
    const startNode = (): Promise<RedisServer> =>
      startRedis({ args: [...CLUSTER_ARGS, ...REPLICA_ARGS, ...args] })
    nodes.push(...(await Promise.all(Array.from({ length: count }, startNode))))
    await join(nodes, masters)
  } catch (error) {
    await stop()
    throw error
  }
  const startupNodes = nodes.map(({ port }) => ({ host: '127.0.0.1', port }))
  const client = (): Cluster => {
    const cluster = new Cluster(startupNodes)
    cluster.on('error', () => {}) // a test looks at what its commands return
    clusters.push(cluster)
    return cluster
  }
  return { nodes, startupNodes, client, stop }
}

async function join(nodes: readonly RedisServer[], masters: number): Promise<void> {
  const clients = nodes.map((node) => node.client())
  const [first] = clients as [Redis]
  const others = nodes.slice(1).map((node) => node.port)
  await Promise.all(clients.slice(0, masters).map((client, at) => giveSlots(client, at, masters)))
  await Promise.all(others.map((port) => first.cluster('MEET', '127.0.0.1', port)))
  await until('every node knows the others', async () => {
    const lists = (await Promise.all(clients.map((client) => client.cluster('NODES')))) as string[]
    // A node in handshake still has a made-up name, which REPLICATE would not find.
    return lists.every(
      (list) => list.trim().split('\n').length === nodes.length && !list.includes('handshake'),
    )
  })
  await Promise.all(
    clients.slice(masters).map(async (client, at) => {
      const master = await clients[at % masters]?.cluster('MYID')
      await client.cluster('REPLICATE', master ?? '')
    }),
  )
  await until('every node is ready', async () => {
    const states = await Promise.all(clients.map((client) => isReady(client, nodes.length)))
    return states.every(Boolean)
  })
  for (const client of clients) client.disconnect()
}

async function giveSlots(client: Redis, at: number, masters: number): Promise<void> {
  const [from, to] = [at, at + 1].map((part) => Math.floor((part * SLOTS) / masters)) as [
    number,
    number,
  ]
  // Different epochs from the start: the nodes need not find out by colliding.
  await client.cluster('SET-CONFIG-EPOCH', at + 1)
  await client.cluster('ADDSLOTS', ...Array.from({ length: to - from }, (_, slot) => from + slot))
}

async function isReady(client: Redis, size: number): Promise<boolean> {
  const info = await client.cluster('INFO')
  if (!info.includes('cluster_state:ok')) return false
  const ranges = (await client.cluster('SLOTS')) as [number, number, ...unknown[]][]
  const slots = ranges.reduce((sum, [from, to]) => sum + to - from + 1, 0)
  const members = new Set(ranges.flatMap(([, , ...nodes]) => nodes.map((node) => String(node))))
  if (slots !== SLOTS || members.size !== size) return false
  const replication = await client.info('replication')
  return replication.includes('role:master') || replication.includes('master_link_status:up')
}

async function until(what: string, condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + READY_TIMEOUT_MS
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`cluster: not reached in time: ${what}`)
    await sleep(20)
  }
}
