import { type TracingChannel, tracingChannel } from 'node:diagnostics_channel'

import type { ForwardReason } from './http/cache-status.ts'
import type { InvalidationMode } from './invalidation/log.ts'

/** The stores are asked under a key. */
export interface LookupTrace {
  namespace: string
  /** The pattern of the route. */
  route: string
  key: string
  /**
   * Only memory is looked at. Without a `state` at the end only Redis can tell, and another lookup
   * follows.
   */
  sync: boolean
  /** What was found; `'none'` and `'gone'` are misses. Known at the end. */
  state?: 'fresh' | 'stale' | 'expired' | 'none' | 'gone'
  /** Where it was found. */
  tier?: 'memory' | 'redis'
  error?: unknown
}

/** A response is stored in the tiers; ends when Redis has it. */
export interface StoreTrace {
  namespace: string
  route: string
  key: string
  tags: readonly string[]
  /** Of the body. */
  bytes: number
  /** Whether Redis has it; true without Redis. Known at the end. */
  stored?: boolean
  error?: unknown
}

/** Something is invalidated; ends when it is confirmed, with an error when it is not. */
export interface InvalidateTrace {
  namespace: string
  /** As the log has them, with their kind in front: `t:=products`; or everything. */
  tags: readonly string[] | 'all'
  mode: InvalidationMode
  error?: unknown
}

/** The handler of a cached GET or HEAD route runs. */
export interface HandlerTrace {
  namespace: string
  route: string
  /** Why it has to: `'bypass'`, or the reason of a miss. */
  reason: ForwardReason
  /** It refreshes what is stored, in the background. */
  refresh: boolean
  error?: unknown
}

function channel<Trace extends object>(name: string): TracingChannel<unknown, Trace> {
  return tracingChannel<unknown, Trace>(`fastify-response-cache:${name}`)
}

export const lookupChannel: TracingChannel<unknown, LookupTrace> = channel('lookup')
export const storeChannel: TracingChannel<unknown, StoreTrace> = channel('store')
export const invalidateChannel: TracingChannel<unknown, InvalidateTrace> = channel('invalidate')
export const handlerChannel: TracingChannel<unknown, HandlerTrace> = channel('handler')

/**
 * As `tracePromise`, but for two things: what returns no promise need not begin to, and results stay
 * here, for they are what people have stored. `later` gets what is to be called at the end of
 * something that has returned no promise; without it that is over when it returns.
 */
export function traced<Trace extends object, Result>(
  { start, end, asyncStart, asyncEnd, error }: TracingChannel<unknown, Trace>,
  trace: Trace & { error?: unknown },
  run: () => Result,
  later?: (over: () => void) => void,
): Result {
  const over = (): void => {
    asyncStart.publish(trace)
    asyncEnd.publish(trace)
  }
  const failed = (reason: unknown): void => {
    trace.error = reason
    error.publish(trace)
  }
  return start.runStores(trace, () => {
    let result: Result
    try {
      result = run()
      if (result instanceof Promise) void result.catch(failed).finally(over)
      else later?.(over)
    } catch (reason) {
      failed(reason)
      throw reason
    } finally {
      end.publish(trace)
    }
    return result
  })
}
