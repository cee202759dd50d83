/** Where there is nothing to tell. */
export const NOTHING = '–'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 })
const oneDigit = new Intl.NumberFormat('en', { maximumFractionDigits: 1 })
const compact = new Intl.NumberFormat('en', { notation: 'compact', maximumFractionDigits: 1 })

/** Three significant digits at most, without an exponent: 0.5, 12.3, 456. */
function short(value: number): string {
  if (value === 0) return '0'
  const digits = Math.max(0, 2 - Math.floor(Math.log10(Math.abs(value))))
  return String(Number(value.toFixed(Math.min(digits, 2))))
}

/** 12,345 */
export function formatCount(count: number): string {
  return whole.format(count)
}

/** 12,345 up to a million, then 1.2M. */
export function formatShortCount(count: number): string {
  return count < 1_000_000 ? whole.format(count) : compact.format(count)
}

/** Of something that happens so often a second. */
export function formatRate(perSecond: number | undefined): string {
  if (perSecond === undefined) return NOTHING
  if (perSecond < 0.05) return perSecond > 0 ? '<0.1' : '0'
  if (perSecond < 99.95) return oneDigit.format(perSecond)
  return perSecond < 10_000 ? whole.format(perSecond) : compact.format(perSecond)
}

/** Of 0 to 1. What is not all is never shown as 100%, and what is not nothing never as 0%. */
export function formatShare(share: number | undefined): string {
  if (share === undefined) return NOTHING
  if (share > 0 && share < 0.001) return '<0.1%'
  if (share < 1 && share > 0.999) return '99.9%'
  return `${oneDigit.format(share * 100)}%`
}

const BYTE_UNITS = ['B', 'KiB', 'MiB', 'GiB', 'TiB'] as const

export function formatBytes(bytes: number): string {
  let value = bytes
  let unit = 0
  // What would be rounded up to 1024 belongs to the next unit.
  while (value >= 1023.5 && unit < BYTE_UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${short(value)} ${BYTE_UNITS[unit]}`
}

/** A time that something took: 12 µs, 1.5 ms, 2.25 s; then as a span. */
export function formatLatency(seconds: number | undefined): string {
  if (seconds === undefined) return NOTHING
  if (seconds === Infinity) return 'more than measured'
  if (seconds < 0.000_999_5) return `${short(seconds * 1e6)} µs`
  if (seconds < 0.9995) return `${short(seconds * 1e3)} ms`
  return seconds < 60 ? `${short(seconds)} s` : formatSpan(seconds * 1000)
}

/** A long time, in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 4 d 1 h. */
export function formatSpan(milliseconds: number): string {
  const ms = Math.max(0, milliseconds)
  if (ms < MINUTE_MS) return `${Math.floor(ms / 1000)} s`
  if (ms < HOUR_MS) return two(ms, [MINUTE_MS, 'min'], [1000, 's'])
  if (ms < DAY_MS) return two(ms, [HOUR_MS, 'h'], [MINUTE_MS, 'min'])
  return two(ms, [DAY_MS, 'd'], [HOUR_MS, 'h'])
}

type Unit = readonly [ms: number, name: string]

function two(ms: number, [large, largeName]: Unit, [small, smallName]: Unit): string {
  const rest = Math.floor((ms % large) / small)
  const first = `${Math.floor(ms / large)} ${largeName}`
  return rest === 0 ? first : `${first} ${rest} ${smallName}`
}

/** Seconds of freshness or age, negative where it is over. */
export function formatSeconds(seconds: number): string {
  return seconds < 0 ? `−${formatSpan(-seconds * 1000)}` : formatSpan(seconds * 1000)
}

export function formatAgo(milliseconds: number): string {
  return milliseconds < 1000 ? 'just now' : `${formatSpan(milliseconds)} ago`
}

/** The time of day where the page is read. */
export function formatClock(at: number): string {
  const date = new Date(at)
  return [date.getHours(), date.getMinutes(), date.getSeconds()]
    .map((part) => String(part).padStart(2, '0'))
    .join(':')
}

/** Of one thing or several. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${formatCount(count)} ${count === 1 ? one : many}`
}
