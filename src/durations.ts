import { parse } from '@lukeed/ms'

/**
 * A length of time: seconds when a number, as in HTTP; otherwise text with a unit: `'500ms'`,
 * `'30s'`, `'5m'`, `'1h'`, `'7d'`.
 */
export type Duration = number | string

/** Ten years. Beyond any use, and far below where instants in milliseconds lose precision. */
const MAX_SECONDS = 315_576_000

/** Seconds, or undefined when the value is not a positive, finite duration up to ten years. */
export function seconds(value: unknown): number | undefined {
  const length = typeof value === 'string' ? secondsOfText(value) : value
  if (typeof length !== 'number' || !(length > 0) || length > MAX_SECONDS) return undefined
  return length
}

function secondsOfText(text: string): number | undefined {
  // A bare number in quotes would be milliseconds to the parser and seconds to everybody else.
  if (!/[a-z]/i.test(text)) return undefined
  const milliseconds = parse(text)
  return milliseconds === undefined ? undefined : milliseconds / 1000
}

export const DURATION_HELP =
  "a number of seconds above 0, or text with a unit such as '500ms', '30s', '5m', '1h' (at most ten years)"
