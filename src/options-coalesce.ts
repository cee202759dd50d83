import { MAX_TIMER_MS, type OptionsReader } from './options-reader.ts'

/** How requests for one key wait for each other. */
export interface CoalesceOptions {
  /**
   * How long a request waits for another's run before it starts its own, in milliseconds.
   * @default 5000
   */
  maxWaitMs?: number
  /**
   * One run for all processes of the namespace: of those that miss at the same time one runs the
   * handler, and one refreshes what is stale. For handlers that take long beside a few round trips
   * to Redis. Without `redis` there is one process.
   * @default false
   */
  fleet?: boolean
}

export interface CheckedCoalesceOptions {
  /** False, or the wait in milliseconds. */
  coalesce: number | false
  /** Whether other processes are waited for as well. */
  fleet: boolean
}

const DEFAULT_MAX_WAIT_MS = 5000

export function checkCoalesce(reader: OptionsReader): CheckedCoalesceOptions {
  const value = reader.value('coalesce')
  if (value === false) return { coalesce: false, fleet: false }
  const inner = value === true ? undefined : reader.object('coalesce', ['maxWaitMs', 'fleet'])
  return {
    coalesce: inner?.integer('maxWaitMs', 1, MAX_TIMER_MS) ?? DEFAULT_MAX_WAIT_MS,
    fleet: inner?.flag('fleet') ?? false,
  }
}
