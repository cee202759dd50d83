import { killCounting, killHolders } from '../test/faults/kill.ts'

/**
 * Processes killed at random points: `npm run kill-test -- 200`. Prints where they were killed; fails
 * when something was lost, or done twice without a sign of it.
 */
const rounds = Number(process.argv[2] ?? 200)
for (const [what, run] of [
  ['write-behind', killCounting],
  ['locks', killHolders],
] as const) {
  const start = performance.now()
  const { points, done, repeated } = await run(rounds)
  const seconds = ((performance.now() - start) / 1000).toFixed(0)
  console.log(`${what}: ${rounds} rounds in ${seconds} s, ${done} done, ${repeated} repeated`)
  for (const [point, count] of Object.entries(points)) console.log(`  killed ${point}: ${count}`)
}
