import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'

import { load } from './load.ts'

/**
 * Pairs of servers under the same load, in turn, so that the machine's moods hit both. Each pair is
 * given as a ratio: processor time per request and requests per second, one variant by the other.
 * A process keeps for life what its start made of it (where its code lies, what was compiled when), so
 * each pair is started several times. The first pair is a server and itself: what differs there is noise.
 *
 *     npm run bench [-- ROUNDS REQUESTS STARTS [PART OF A TITLE]]      REDIS_URL=… adds the Redis pairs
 */
const [rounds = 5, requests = 8000, starts = 5] = process.argv.slice(2, 5).map(Number)
const wanted = process.argv[5] ?? ''

const redisUrl = process.env['REDIS_URL']
const hot = (): string => '/products?page=1&sort=name'
let counter = Date.now()
const cold = (): string => `/products?page=${counter++}&sort=name`

interface Pair {
  title: string
  ours: string
  theirs: string
  path: (index: number) => string
  /** /metrics of ours is asked for each second, in rounds that are this many times longer. */
  scraped?: number
}

const pairs: Pair[] = [
  { title: 'bare route / itself', ours: 'bare', theirs: 'bare', path: hot },
  { title: 'memory hit / bare route', ours: 'memoryHit', theirs: 'bare', path: hot },
  { title: 'miss / stored by hand', ours: 'miss', theirs: 'missByHand', path: cold },
  { title: 'miss / by hand, with care', ours: 'miss', theirs: 'missWithCare', path: cold },
  { title: 'uncached, with / without', ours: 'uncachedWithPlugin', theirs: 'bare', path: hot },
  {
    title: 'memory hit, scraped / not',
    ours: 'memoryHitMetered',
    theirs: 'memoryHit',
    path: hot,
    scraped: 8,
  },
]
if (redisUrl) {
  pairs.push(
    { title: 'redis hit / by hand', ours: 'redisHit', theirs: 'redisByHand', path: hot },
    {
      title: 'the same, not coalesced',
      ours: 'redisHitAlone',
      theirs: 'redisByHand',
      path: hot,
    },
    { title: 'redis miss / by hand', ours: 'redisMiss', theirs: 'redisMissByHand', path: cold },
  )
}

let scrapes = 0

interface Server {
  variant: string
  process: ChildProcess
  port: number
}

async function start(variant: string): Promise<Server> {
  const args = redisUrl ? [variant, redisUrl] : [variant]
  const child = fork(new URL('./server.js', import.meta.url), args)
  const [{ port }] = (await once(child, 'message')) as [{ port: number }]
  return { variant, process: child, port }
}

async function usage(server: Server): Promise<{ cpuMicros: number; at: number }> {
  const answer = once(server.process, 'message')
  server.process.send('usage')
  return (await answer)[0] as { cpuMicros: number; at: number }
}

/** Processor microseconds per request, and requests per second. */
async function round(server: Server, pair: Pair): Promise<{ cpu: number; rate: number }> {
  const count = requests * (pair.scraped ?? 1)
  const before = await usage(server)
  const scraper = server.variant === 'memoryHitMetered' ? scrapeEachSecond(server) : undefined
  await load(server.port, count, { path: pair.path })
  clearInterval(scraper)
  const after = await usage(server)
  return {
    cpu: (after.cpuMicros - before.cpuMicros) / count,
    rate: (count / (after.at - before.at)) * 1000,
  }
}

function scrapeEachSecond({ port }: Server): NodeJS.Timeout {
  return setInterval(() => {
    void fetch(`http://127.0.0.1:${port}/metrics`).then(async (response) => {
      const text = await response.text()
      if (!text.includes('response_cache_hits_total')) throw new Error(text)
      return scrapes++
    })
  }, 1000)
}

function median(values: number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)]!
}

interface Figures {
  ourCpu: number[]
  theirCpu: number[]
  cpu: number[]
  rate: number[]
}

/** One start of both. */
async function play(pair: Pair, figures: Figures): Promise<void> {
  const ours = await start(pair.ours)
  const theirs = await start(pair.theirs)
  for (const server of [ours, theirs, ours, theirs]) await round(server, pair)
  for (let index = 0; index < rounds; index++) {
    const [first, second] = index % 2 === 0 ? [ours, theirs] : [theirs, ours]
    const a = await round(first, pair)
    const b = await round(second, pair)
    const [our, their] = index % 2 === 0 ? [a, b] : [b, a]
    figures.ourCpu.push(our.cpu)
    figures.theirCpu.push(their.cpu)
    figures.cpu.push(their.cpu / our.cpu)
    figures.rate.push(our.rate / their.rate)
  }
  for (const server of [ours, theirs]) server.process.kill()
}

async function compare(pair: Pair): Promise<void> {
  const figures: Figures = { ourCpu: [], theirCpu: [], cpu: [], rate: [] }
  for (let index = 0; index < starts; index++) await play(pair, figures)
  const of = (name: keyof Figures, digits: number): string =>
    median(figures[name]).toFixed(digits).padStart(6)
  const micros = `${of('ourCpu', 1)} µs ${of('theirCpu', 1)} µs`
  console.log(
    `${pair.title.padEnd(26)} ${micros}   cpu ${of('cpu', 3)}   throughput ${of('rate', 3)}`,
  )
}

console.log(
  `Node ${process.version}, ${starts} starts of ${rounds} rounds of ${requests} requests, medians`,
)
console.log(
  'pair                           ours      other   (ratios: 1 is equal, above is better)',
)
for (const pair of pairs) if (pair.title.includes(wanted)) await compare(pair)
console.log(`scraped ${scrapes} times`)
process.exit()
