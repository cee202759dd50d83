// A full collection while modules are loaded made every process.nextTick of the process dear for good.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'

const index = new URL('../src/index.js', import.meta.url).href
const keeper = new URL('../src/live-tick.js', import.meta.url).href

/** Ticks made after a collection at a time when there was none, beside the one that is kept. */
const program = `
  import { executionAsyncResource } from 'node:async_hooks'
  import { setTimeout as later } from 'node:timers/promises'
  await import(${JSON.stringify(index)})
  const { liveTick } = await import(${JSON.stringify(keeper)})
  const tick = () => new Promise((resolve) => process.nextTick(() => resolve(executionAsyncResource())))
  for (let count = 0; count < 300; count++) await tick()
  await later(5)
  globalThis.gc()
  const next = await tick()
  console.log(next !== liveTick(), %HaveSameMap(next, liveTick()))
`

test('the hidden class of ticks survives a garbage collection that finds none waiting', () => {
  const flags = ['--expose-gc', '--allow-natives-syntax', '--input-type=module']
  const printed = execFileSync(process.execPath, [...flags, '--eval', program], {
    encoding: 'utf8',
    env: { ...process.env, NODE_V8_COVERAGE: '' },
  })
  assert.equal(printed.trim(), 'true true')
})
