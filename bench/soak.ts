import { Soak } from '../test/soak/soak.ts'

/**
 * Mixed load with faults for minutes: `npm run soak -- 10`. Prints a line each minute and the figures
 * at the end; the exit code is 1 when one of them is bad. Starts a Redis of its own.
 */
const minutes = Number(process.argv[2] ?? 10)
const MIB = 1024 * 1024
const MEMORY_MIB = 16
/** Growth that may be noise, over all the time that counts: RSS follows the pace of the load. */
const FLAT = { live: 0.1, rss: 0.3 }
/** The wait for runs of others takes 5 s at the most; then there is a run of one's own. */
const LONGEST_MS = 8000

const soak = await Soak.start({
  processes: 2,
  readers: 24,
  memoryBytes: MEMORY_MIB * MIB,
  sampleMs: 5000,
  onSample: ({ seconds, requests, failed, samples }) => {
    if (samples.length % 12 !== 0) return
    const last = samples.at(-1)!
    console.log(
      `${(seconds / 60).toFixed(1)} min: ${requests} requests, ${failed.length} failed, ` +
        `RSS ${mebibytes(last.rss)} MiB, ${mebibytes(last.live)} in use`,
    )
  },
})
console.log(`${minutes} minutes, 2 processes with ${MEMORY_MIB} MiB of memory each`)
await soak.run(minutes * 60)
const states = await soak.states()
const forever = await soak.keysWithoutTtl()
await soak.stop()

const { eventual, strict } = soak.histories
/** Over a short time a slope says nothing. */
const isLong = soak.samples.filter(({ isFull }) => isFull).length >= 24
const figures: [what: string, value: string, isGood: boolean][] = [
  ['requests', `${soak.requests}, and ${soak.aborted} that hung up`, true],
  ['faults', JSON.stringify(soak.faults), true],
  ['failed', String(soak.failed.length), soak.failed.length === 0],
  ['eventual', eventual.toString(), true],
  [
    `eventual, stale for more than ${soak.boundMs} ms`,
    String(eventual.staleBeyond(soak.boundMs)),
    eventual.staleBeyond(soak.boundMs) === 0,
  ],
  ['strict', strict.toString(), true],
  ['strict, stale', String(strict.stale.length), strict.stale.length === 0],
  [
    'longest request',
    `${soak.slowest.milliseconds.toFixed(0)} ms, ${soak.slowest.what}`,
    soak.slowest.milliseconds < LONGEST_MS,
  ],
  [
    'memory tier',
    states.map(({ bytes }) => `${(bytes / MIB).toFixed(1)} MiB`).join(', '),
    states.every(({ bytes }) => bytes <= MEMORY_MIB * MIB),
  ],
  ...(['live', 'rss'] as const).map((of): [string, string, boolean] => {
    const growth = soak.growth(of)
    return [
      `${of === 'rss' ? 'RSS' : 'after a garbage collection'}, once memory was full`,
      growth
        .map(
          ({ perMinute, mean }) =>
            `${mean.toFixed(0)} MiB, ${perMinute.toFixed(2)} more each minute`,
        )
        .join('; '),
      !isLong || growth.every(({ share }) => share <= FLAT[of]),
    ]
  }),
  [
    'flights left',
    states.map(({ flights }) => flights).join(', '),
    states.every(({ flights }) => flights === 0),
  ],
  ['keys in Redis without ttl', String(forever.length), forever.length === 0],
]
for (const [what, value, isGood] of figures) console.log(`${isGood ? ' ' : '!'} ${what}: ${value}`)
for (const failure of soak.failed.slice(0, 10)) console.log(`  ${failure}`)
process.exitCode = figures.every(([, , isGood]) => isGood) ? 0 : 1

function mebibytes(list: readonly number[]): string {
  return list.map((each) => each.toFixed(0)).join(' and ')
}
