// What went wrong is over when it stands in the way of nothing any more. To be asked before anything
// else is invalidated: a record that follows hides what had been waiting for one.
import type { Stats } from '../../src/index.ts'
import { eventually } from './clock.ts'

export interface Resting {
  stats: () => Stats | Promise<Stats>
  /** Asks for everything once; what was no hit. */
  misses: () => Promise<readonly string[]>
}

/** Resolves when nothing is on its way, and everything is a hit; tells what is not. */
export async function isCachedAgain(what: string, { stats, misses }: Resting): Promise<void> {
  let left: readonly string[] = []
  const rests = async (): Promise<boolean> => {
    left = unrestOf(await stats())
    if (left.length === 0) left = (await misses()).map((each) => `${each} is no hit`)
    if (left.length === 0) left = unrestOf(await stats())
    return left.length === 0
  }
  try {
    await eventually(`${what} is cached again`, rests)
  } catch (error) {
    throw new Error(`${String(error)}: ${left.join(', ')}`, { cause: error })
  }
}

function unrestOf({ log, pendingInvalidations, redis, flights, fleet }: Stats): string[] {
  const unrest = {
    'the log is not verified': !log.verified,
    'invalidations are pending': pendingInvalidations > 0,
    // Where memory answers nobody tries whether it may be closed.
    'the breaker is open': redis?.breaker === 'open',
    'a flight is left over': flights > 0,
    'a lease is left over': (fleet?.leases ?? 0) > 0,
    'somebody waits for another process': (fleet?.waiting ?? 0) > 0,
  }
  return Object.entries(unrest).flatMap(([what, holds]) => (holds ? [what] : []))
}
