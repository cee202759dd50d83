import { executionAsyncResource } from 'node:async_hooks'

/**
 * One tick of `process.nextTick`, kept for as long as the process lives, so that ticks stay cheap.
 *
 * Node makes a tick by an object literal with computed names. For such a literal V8 remembers a
 * single hidden class, and only weakly: when a full garbage collection comes while no tick exists,
 * as one does while modules are loaded, the class is lost, and the next tick finds another in its
 * place. From then on V8 makes every tick of this process in the runtime: 0.3 to 0.6 µs in place of
 * 0.06, and 4 to 7 µs for each request over HTTP. One tick that is alive keeps the class.
 * docs/benchmarks.md#ticks has the measurement.
 */
let kept: object | undefined

process.nextTick(() => {
  kept = executionAsyncResource()
})

export function liveTick(): object | undefined {
  return kept
}
