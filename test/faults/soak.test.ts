import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Soak } from '../soak/soak.ts'

const SECONDS = 8
const MEMORY_BYTES = 8 * 1024 * 1024

test('a mixed load with faults at random fails nothing, serves nothing beyond its bound and stays within its memory', async (t) => {
  const soak = await Soak.start({
    ...{ processes: 2, readers: 12, memoryBytes: MEMORY_BYTES, sampleMs: 1000 },
  })
  t.after(() => soak.stop())
  await soak.run(SECONDS)
  const { eventual, strict } = soak.histories
  t.diagnostic(
    `${soak.requests} requests, ${soak.aborted} hung up, slowest ${soak.slowest.milliseconds.toFixed(0)} ms; ` +
      `eventual: ${eventual.toString()}; strict: ${strict.toString()}; ${JSON.stringify(soak.faults)}`,
  )
  assert.deepEqual(soak.failed, [])
  assert.equal(eventual.staleBeyond(soak.boundMs), 0)
  assert.equal(strict.stale.length, 0)
  assert.ok(eventual.hits > 0 && soak.aborted > 0)
  for (const { bytes } of await soak.states()) assert.ok(bytes > 0 && bytes <= MEMORY_BYTES)
  assert.deepEqual(await soak.keysWithoutTtl(), [])
})
