const MONTHS = ['jan', 'feb', 'mar', 'apr', 'may', 'jun', 'jul', 'aug', 'sep', 'oct', 'nov', 'dec']

// RFC 9110 §5.6.7: IMF-fixdate, the obsolete form of RFC 850, and that of asctime().
const FORMS = [
  /^[a-z]{3}, (?<day>\d\d) (?<month>[a-z]{3}) (?<year>\d{4}) (?<time>\d\d:\d\d:\d\d) gmt$/,
  /^[a-z]{6,9}, (?<day>\d\d)-(?<month>[a-z]{3})-(?<year>\d\d) (?<time>\d\d:\d\d:\d\d) gmt$/,
  /^[a-z]{3} (?<month>[a-z]{3}) (?<day>[ \d]\d) (?<time>\d\d:\d\d:\d\d) (?<year>\d{4})$/,
]

/** An HTTP-date in epoch milliseconds; undefined when it is none. `now` decides a two-digit year. */
export function parseHttpDate(value: string, now: number): number | undefined {
  const text = value.trim().toLowerCase()
  for (const form of FORMS) {
    const parts = form.exec(text)?.groups
    if (parts !== undefined) return instant(parts, now)
  }
  return undefined
}

function instant(parts: Record<string, string>, now: number): number | undefined {
  const month = MONTHS.indexOf(parts['month']!)
  const [hours, minutes, seconds] = parts['time']!.split(':').map(Number)
  if (month === -1 || hours! > 23 || minutes! > 59 || seconds! > 60) return undefined
  const day = Number(parts['day'])
  const at = (year: number): number | undefined => {
    if (day < 1 || day > daysIn(month, year)) return undefined
    // oxlint-disable-next-line no-restricted-globals -- arithmetic; the clock is not read
    return Date.UTC(year, month, day, hours, minutes, seconds)
  }
  const year = Number(parts['year'])
  if (parts['year']!.length > 2) return at(year)
  // RFC 9110 §5.6.7: a two-digit year more than 50 years ahead is in the century before.
  const century = Math.floor((1970 + now / 31_556_952_000) / 100) * 100
  const instantThen = at(century + year)
  if (instantThen === undefined) return undefined
  return instantThen > now + 50 * 31_556_952_000 ? at(century - 100 + year) : instantThen
}

function daysIn(month: number, year: number): number {
  if (month !== 1) return [3, 5, 8, 10].includes(month) ? 30 : 31
  return year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0) ? 29 : 28
}
