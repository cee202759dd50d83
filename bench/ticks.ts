// What process.nextTick costs after a full garbage collection that came while no tick was waiting, with
// and without a tick that is kept alive: docs/benchmarks.md#ticks. Each case in a process of its own.
import { execFileSync } from 'node:child_process'
import { performance } from 'node:perf_hooks'
import { setTimeout as later } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

const ROUNDS = 40
const TICKS = 20_000
const CASES = ['no collection', 'collection', 'collection, one tick kept']

function ticks(): Promise<void> {
  return new Promise((resolve) => {
    let count = 0
    const next = (): void => {
      if (++count < TICKS) process.nextTick(next)
      else resolve()
    }
    process.nextTick(next)
  })
}

async function measure(name: string): Promise<number> {
  if (name.endsWith('kept')) await import('fastify-response-cache')
  for (let count = 0; count < 300; count++) process.nextTick(() => undefined)
  await later(5)
  if (name !== 'no collection') globalThis.gc!()
  const micros: number[] = []
  for (let round = 0; round < ROUNDS; round++) {
    const start = performance.now()
    await ticks()
    micros.push(((performance.now() - start) * 1000) / TICKS)
  }
  return micros.sort((a, b) => a - b)[ROUNDS / 2]!
}

const [only] = process.argv.slice(2)
if (only === undefined) {
  console.log(`Node ${process.version}, medians of ${ROUNDS} rounds of ${TICKS} ticks`)
  for (const name of CASES) {
    const args = ['--expose-gc', fileURLToPath(import.meta.url), name]
    console.log(execFileSync(process.execPath, args, { encoding: 'utf8' }).trim())
  }
} else {
  console.log(`${only.padEnd(28)} ${(await measure(only)).toFixed(3)} µs`)
}
