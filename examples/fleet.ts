// `npm run fleet`: several processes on one port behind one cache, traffic, and a table of what the
// cache of each process does. Each process is examples/fleet/worker.ts.
import { withoutPassword } from './demo/shown-url.ts'
import { beginLifetime } from './demo/lifetime.ts'
import { type FleetOptions, TTL_SECONDS, USAGE, readOptions } from './fleet/options.ts'
import { type Report, Processes } from './fleet/processes.ts'
import { LiveLines, lineOf, tableOf } from './fleet/table.ts'
import { Traffic } from './fleet/traffic.ts'
import { optionsOrUsage } from './options-or-usage.ts'

const DRAW_MS = 500
const LINE_MS = 2000

const screen = process.stdout
const live = screen.isTTY ? new LiveLines(screen) : undefined
const say = (text: string): void => (live ? live.note(text) : void screen.write(`${text}\n`))
const startedAt = performance.now()

async function run(options: FleetOptions): Promise<void> {
  const { owns, end, isEnding } = beginLifetime((text) => say(text.trim()))
  const processes = new Processes(options, {
    onFailure: (message) => void end(message),
    onEnd: (pid, reason) => say(`Process ${pid} has ended (${reason}); another takes its place.`),
  })
  owns(() => processes.end())
  const url = await processes.listening()
  say(introduction(options, url, await processes.reports()))

  const traffic = options.traffic ? new Traffic(url) : undefined
  let shown: Promise<void> | undefined
  const show = async (): Promise<void> => {
    const reports = await processes.reports()
    if (isEnding()) return
    if (live) live.draw(tableOf(reports, traffic))
    else say(lineOf((performance.now() - startedAt) / 1000, reports, traffic))
  }
  const showing = setInterval(
    () => {
      shown = show()
    },
    live ? DRAW_MS : LINE_MS,
  )
  owns(async () => {
    clearInterval(showing)
    traffic?.end()
    await shown
    const reports = await processes.reports()
    live?.draw([])
    say(['', ...tableOf(reports, traffic), ''].join('\n'))
    say(lineOf((performance.now() - startedAt) / 1000, reports, traffic))
  })
  if (options.seconds !== undefined) setTimeout(() => void end(), options.seconds * 1000)
}

function introduction(options: FleetOptions, url: string, reports: readonly Report[]): string {
  const { processes, redisUrl, traffic } = options
  const pids = reports.map(({ pid }) => pid)
  const cannotReach = reports.every(({ stats }) => stats?.log.verified === false)
  return [
    '',
    `  ${processes} processes on ${url}: ${pids.join(', ')}`,
    ...(redisUrl === undefined ? ALONE : together(redisUrl)),
    ...(cannotReach ? ['', '  Redis does not answer: handlers run until it does.'] : []),
    '',
    '  Which process answers, and what did its cache do?',
    `  curl -si ${url}/products/7 | grep -iE 'cache-status|x-process'`,
    '',
    '  A write; ask again, several times:',
    `  curl -s -X PUT -H 'content-type: application/json' -d '{"price":5}' ${url}/products/7`,
    '',
    '  A process dies, and starts again with nothing in memory:',
    `  kill -9 ${pids[0]}`,
    '',
    ...(traffic ? LEGEND : ['  There are no requests but yours (--no-traffic).', '']),
    '  Ctrl+C stops it.',
    '',
  ].join('\n')
}

const ALONE = [
  '  REDIS_URL is not set: each process has a cache of its own, in its memory. What one has stored',
  '  the others do not know, and a write is told to the process that did it and to no other: the',
  `  others answer with the old state until its ttl is over, here up to ${TTL_SECONDS} s (column "stalest").`,
  '  With REDIS_URL=redis://localhost:6379 npm run fleet they share responses and invalidations.',
]

function together(redisUrl: string): string[] {
  return [
    `  sharing responses and invalidations through ${withoutPassword(redisUrl)}`,
    '  Stop Redis while this runs: nobody gets an error, and nobody an old answer for longer than "bound".',
  ]
}

const LEGEND = [
  '  hits      requests that needed no handler run of their own; rate: their share',
  '  stale     answers from before a write that had been answered when they were asked for',
  '  stalest   how long after such a write the old state was still given; never more than "bound"',
  '  behind    records of the invalidation log that others know and this process does not yet',
  '  verified  how long ago the process was last sure to know all of them',
  '  pending   tags that it could not tell Redis yet',
  '',
]

const options = optionsOrUsage(() => readOptions(process.argv.slice(2), process.env), USAGE)
if (options !== undefined) await run(options)
