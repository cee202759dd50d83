/**
 * What grows with what: the figures of docs/scaling.md. Starts Redis servers of its own.
 * `npm run bench:scale`, or `node --expose-gc build/bench/scale.js PART…`: memory, invalidation,
 * loading, rates, flood. The last two follow one log with up to 1,000 followers.
 */
import { cpus } from 'node:os'

import { startRedis } from '../test/support/redis.ts'
import { invalidation, loading, memory } from './scale/costs.ts'
import { type Row, print } from './scale/figures.ts'
import { Fleet } from './scale/fleet.ts'

const FLEET = 1000
const SECONDS = 4
/** Of which the best is shown: the rest of the machine only ever makes it longer. */
const RUNS = 3
const medianOf = (row: Row): number => Number.parseFloat(String(row['delivered, median']))

const parts: Record<string, () => Promise<void>> = {
  memory: async () => print('Memory', await memory()),
  invalidation: async () => print('One invalidation', await invalidation()),
  loading: async () => print('Starting', await loading()),

  /** A fleet of 1,000, and invalidations at a rate. */
  rates: async () => {
    const rows: Row[] = []
    const server = await startRedis()
    const fleet = await Fleet.start(server, 'scale', FLEET)
    rows.push(await fleet.idle(SECONDS))
    for (const rate of [1, 3, 10, 30, 100]) {
      const runs = [await fleet.atRate(rate, SECONDS)]
      while (runs.length < RUNS) runs.push(await fleet.atRate(rate, SECONDS))
      rows.push(runs.toSorted((a, b) => medianOf(a) - medianOf(b))[0]!)
    }
    await fleet.stop()
    await server.stop()
    print(`${FLEET} followers of one log`, rows)
  },

  /** As many invalidations as one control slot takes, with more and more followers. */
  flood: async () => {
    const rows: Row[] = []
    for (const size of [0, 1, 10, 100, FLEET]) {
      const server = await startRedis()
      const fleet = await Fleet.start(server, 'scale', size)
      rows.push(await fleet.flood(SECONDS))
      await fleet.stop()
      await server.stop()
    }
    print('As many invalidations as possible', rows)
  },
}

const wanted = process.argv.slice(2)
const server = await startRedis()
const version = /redis_version:(\S+)/.exec(await server.client().info('server'))![1]
await server.stop()
const processors = cpus()
console.log(
  `Node ${process.versions.node}, Redis ${version}, ${processors.length} cores (${processors[0]?.model}), ` +
    'of which followers, sender and Redis share all',
)
for (const [name, run] of Object.entries(parts)) {
  if (wanted.length === 0 || wanted.includes(name)) await run()
}
