/**
 * Request header fields as IANA has them registered, and those that servers and proxies commonly send:
 * to find slips of the pen. Not to tell what is allowed: applications have fields of their own.
 */
const KNOWN_FIELDS: ReadonlySet<string> = new Set([
  ...['accept', 'accept-charset', 'accept-datetime', 'accept-encoding', 'accept-language'],
  ...['accept-version', 'access-control-request-headers', 'access-control-request-method'],
  ...['authorization', 'cache-control', 'cdn-cache-control', 'connection', 'content-encoding'],
  ...['content-language', 'content-length', 'content-type', 'cookie', 'date', 'device-memory'],
  ...['dnt', 'downlink', 'dpr', 'ect', 'expect', 'forwarded', 'from', 'host', 'if-match'],
  ...['if-modified-since', 'if-none-match', 'if-range', 'if-unmodified-since', 'max-forwards'],
  ...['origin', 'pragma', 'prefer', 'priority', 'proxy-authorization', 'range', 'referer', 'rtt'],
  ...['save-data', 'sec-ch-ua', 'sec-ch-ua-mobile', 'sec-ch-ua-platform', 'sec-fetch-dest'],
  ...['sec-ch-prefers-color-scheme', 'sec-ch-viewport-width', 'sec-ch-width', 'sec-ch-dpr'],
  ...['sec-fetch-mode', 'sec-fetch-site', 'sec-fetch-user', 'sec-gpc', 'surrogate-control', 'te'],
  ...['traceparent', 'tracestate', 'upgrade', 'upgrade-insecure-requests', 'user-agent', 'via'],
  ...['viewport-width', 'width', 'x-forwarded-for', 'x-forwarded-host', 'x-forwarded-proto'],
  ...['x-requested-with', 'cf-ipcountry', 'cloudfront-viewer-country'],
])

/** The field that is probably meant by a name that nobody knows; undefined for all others. */
export function meantField(name: string): string | undefined {
  // Short names are near to too many others.
  if (KNOWN_FIELDS.has(name) || name.length < 4) return undefined
  const mayDiffer = name.length < 8 ? 1 : 2
  for (const known of KNOWN_FIELDS) if (isWithin(name, known, mayDiffer)) return known
  return undefined
}

/** Whether so few letters are added, lost, changed or exchanged with their neighbour. */
function isWithin(a: string, b: string, most: number): boolean {
  if (Math.abs(a.length - b.length) > most) return false
  let before: number[] = []
  let last = Array.from({ length: b.length + 1 }, (_, at) => at)
  for (let i = 1; i <= a.length; i++) {
    const row = [i]
    for (let j = 1; j <= b.length; j++) {
      const changed = last[j - 1]! + Number(a[i - 1] !== b[j - 1])
      let least = Math.min(changed, last[j]! + 1, row[j - 1]! + 1)
      const isSwapped = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      if (isSwapped) least = Math.min(least, before[j - 2]! + 1)
      row.push(least)
    }
    before = last
    last = row
  }
  return last[b.length]! <= most
}

/** Another value in each request: no two of them share a response. */
const UNIQUE_FIELDS: ReadonlySet<string> = new Set([
  ...['traceparent', 'x-request-id', 'x-correlation-id', 'request-id', 'x-amzn-trace-id'],
  ...['x-b3-traceid', 'x-b3-spanid', 'x-cloud-trace-context', 'cf-ray', 'date', 'content-length'],
])

/** Whether responses that vary on this field answer no other request. */
export function isUniqueField(name: string): boolean {
  return UNIQUE_FIELDS.has(name)
}
