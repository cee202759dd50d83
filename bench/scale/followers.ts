// Some of the fleet, in one process: followers of the log, each with a table and a connection of its
// own, as many processes would have them. `node followers.js URL NAMESPACE COUNT`, asked by scale.ts.
import { Redis } from 'ioredis'

import { RedisFollower } from '../../src/invalidation/redis-follower.ts'
import { ControlCalls, controlKeys } from '../../src/invalidation/redis-scripts.ts'

/** On the clock that all processes of a machine share. */
export function machineMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** What the parent asks: begin to note, and later what came of the records it sent. */
export type Question = { watch: true } | { collect: { first: number; sentAt: number[] } }

export interface Collected {
  /** Milliseconds from sending to applying, of every record at every follower. */
  delays: Float32Array
  /** Of each record: the longest of these. */
  slowest: Float32Array
  /** How often a table had to be loaded again, and trouble that was reported. */
  reloads: number
  troubles: number
  /** Processor time since `watch`, in milliseconds. */
  cpuMs: number
}

const PATIENCE_MS = 120_000

class Watched {
  readonly follower: RedisFollower
  /** Each time the position moved: to which seq, and when. */
  moves: { seq: number; at: number }[] = []
  loads = 0
  troubles = 0

  constructor(client: Redis, namespace: string) {
    this.follower = new RedisFollower(client, {
      calls: new ControlCalls(controlKeys(namespace)),
      inspect: undefined,
      maxTags: 100_000,
      beforeTrust: async () => void this.loads++,
      onTrouble: () => void this.troubles++,
    })
    this.follower.start()
  }

  async watch(): Promise<never> {
    let { seq } = this.follower.position
    for (;;) {
      await this.follower.until(() => this.follower.position.seq > seq, PATIENCE_MS)
      seq = this.follower.position.seq
      this.moves.push({ seq, at: machineMs() })
    }
  }

  reached(seq: number): Promise<boolean> {
    return this.follower.until(() => this.follower.position.seq >= seq, PATIENCE_MS)
  }
}

async function serve(url: string, namespace: string, count: number): Promise<void> {
  const client = new Redis(url, { lazyConnect: true })
  const fleet = Array.from({ length: count }, () => new Watched(client, namespace))
  await Promise.all(
    fleet.map(({ follower }) => follower.until(() => follower.verifiedAt > 0, PATIENCE_MS)),
  )
  for (const each of fleet) void each.watch()
  let usedSince = process.cpuUsage()
  process.on('message', (question: Question) => {
    if ('watch' in question) {
      for (const each of fleet) {
        each.moves = []
        each.loads = 0
        each.troubles = 0
      }
      usedSince = process.cpuUsage()
      process.send!('watching')
    } else {
      const { user, system } = process.cpuUsage(usedSince)
      void collect(fleet, question.collect).then((collected) =>
        process.send!({ ...collected, cpuMs: (user + system) / 1000 }),
      )
    }
  })
  process.send!('ready')
}

async function collect(
  fleet: readonly Watched[],
  { first, sentAt }: { first: number; sentAt: number[] },
): Promise<Omit<Collected, 'cpuMs'>> {
  const last = first + sentAt.length - 1
  await Promise.all(fleet.map((each) => each.reached(last)))
  const delays = new Float32Array(fleet.length * sentAt.length)
  const slowest = new Float32Array(sentAt.length)
  for (const [row, { moves }] of fleet.entries()) {
    let move = 0
    for (const [column, sent] of sentAt.entries()) {
      while (move < moves.length - 1 && moves[move]!.seq < first + column) move++
      const delay = (moves[move]?.at ?? machineMs()) - sent
      delays[row * sentAt.length + column] = delay
      if (delay > slowest[column]!) slowest[column] = delay
    }
  }
  const sum = (name: 'loads' | 'troubles'): number =>
    fleet.reduce((total, each) => total + each[name], 0)
  return { delays, slowest, reloads: sum('loads'), troubles: sum('troubles') }
}

const [url = '', namespace = '', count = '0'] = process.argv.slice(2)
if (process.send !== undefined && url !== '') {
  process.on('disconnect', () => process.exit())
  await serve(url, namespace, Number(count))
}
