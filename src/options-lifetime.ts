import { InvalidOptionError } from './errors.ts'
import { OptionsReader } from './options-reader.ts'

/** The route options that spread the work of computing responses anew. */
export interface SpreadOptions {
  /**
   * Refresh a response in the background before it is stale: the more probably, the nearer that is
   * and the longer its handler took (XFetch). A number is the factor by which that time is
   * stretched, from 0.01 to 100: above 1 refreshes come earlier; `true` is 1. Needs `coalesce`, and has
   * no effect where the key holds an identity (`vary.by`, `vary.cookies`).
   * @default false
   */
  earlyRefresh?: boolean | number
  /**
   * The fraction, 0 to 1, by which a lifetime that the route states is shortened at random, so that
   * what was stored together does not become stale together. No effect on what `ttl: 'headers'` reads.
   * @default 0
   */
  ttlJitter?: number
}

export interface CheckedSpread {
  /** The factor of the computing time; 0 where nothing is refreshed early. */
  earlyRefresh: number
  ttlJitter: number
}

export const SPREAD_OPTIONS: readonly string[] = ['earlyRefresh', 'ttlJitter']

export function checkSpread(reader: OptionsReader): CheckedSpread {
  return { earlyRefresh: checkEarlyRefresh(reader), ttlJitter: checkJitter(reader) }
}

const EARLY_HELP = 'true, false or a number from 0.01 to 100'

function checkEarlyRefresh(reader: OptionsReader): number {
  const value = reader.value('earlyRefresh') ?? false
  const factor = typeof value === 'boolean' ? Number(value) : value
  const isFactor = typeof factor === 'number' && factor >= 0.01 && factor <= 100
  if (!isFactor && value !== false) return reader.fail('earlyRefresh', EARLY_HELP)
  // Many would find it due at the same time, and all of them would compute.
  if (isFactor && reader.value('coalesce') === false) {
    return reader.fail('earlyRefresh', 'left out or false where coalesce is false')
  }
  return factor as number
}

function checkJitter(reader: OptionsReader): number {
  const value = reader.value('ttlJitter') ?? 0
  if (typeof value === 'number' && value >= 0 && value <= 1) return value
  return reader.fail('ttlJitter', 'a number from 0 to 1')
}

/** Which statuses may be stored, each with its seconds, or with the lifetime of the route. */
export function checkStatuses(reader: OptionsReader): ReadonlyMap<number, number | true> {
  const statuses = new Map<number, number | true>()
  if (!reader.has('statuses')) return statuses.set(200, true)
  const value = reader.value('statuses')
  if (value === null || typeof value !== 'object') {
    return reader.fail('statuses', "an object such as { 200: true, 404: '10s' }")
  }
  const names = Object.keys(value)
  const inner = new OptionsReader(reader.path('statuses'), value, names)
  for (const name of names) {
    const status = Number(name)
    // 206 is a part, 304 a statement about a stored response: neither is a response of its own.
    if (!/^[2-5]\d\d$/.test(name) || status === 206 || status === 304) {
      throw new InvalidOptionError(
        `${inner.path(name)} is not a status that can be stored; use 200 to 599 without 206 and 304`,
      )
    }
    statuses.set(status, inner.value(name) === true ? true : inner.duration(name, ', or true')!)
  }
  // `{ 404: '10s' }` adds to the default; `{ 200: … }` is how to change it.
  return statuses.has(200) ? statuses : statuses.set(200, true)
}
