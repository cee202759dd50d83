// What is asked, at random: requests, writes, time that passes, and several things at once.
import fc from 'fast-check'

import { requestText } from '../support/wire.ts'

export interface Request {
  method: string
  target: string
  fields: string[]
  /** Sends If-None-Match with the last tag that was seen for the target, or with others. */
  match?: 'known' | 'weak' | 'other' | 'any'
}

/** A request some turns of the event loop after the others of its burst. */
export interface Late {
  request: Request
  after: number
}

export type Step =
  // `of`: who asks, and so which instance is asked.
  | { ask: Request; of: number }
  | { together: Late[] }
  | { pass: number }
  | { forget: 'all' | 'route' | 'url' }

const ID = fc.constantFrom('1', '1', '1', '2', '3')
const ITEM_PATHS = [
  ...['items', 'text', 'bytes', 'stream', 'plain', 'slow', 'moved', 'some', 'not', 'cookie'],
  ...['private', 'me', 'home', 'lang', 'theme', 'campaign', 'parts', 'stale'],
]
/** Pages that are asked for again and again, or else hardly any answer would come from the cache. */
const HOT = [
  'items/1',
  'text/1',
  'slow/1',
  'me/1',
  'lang/1',
  'some/1',
  'moved/1',
  'bytes/1',
  'parts/1',
  'news',
  'news/stale',
  'stale/1',
]
const ODD = [
  ...['items', 'items', 'news', 'files/a', 'files/a%2Fb', 'files/a/b', 'files/a//b', 'files/%61'],
  ...['files/../a', 'items/1/', 'nowhere', 'items/%31'],
]
const PATH = fc.oneof(
  { weight: 5, arbitrary: fc.constantFrom(...HOT) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...ITEM_PATHS), ID).map((parts) => parts.join('/')),
  },
  { weight: 1, arbitrary: fc.constantFrom(...ODD) },
)
/** Shows what its key leaves out. */
const CAMPAIGN = fc
  .constantFrom('?show=1&utm_source=a', '?show=1&utm_source=b', '?show=1', '?utm_source=c', '')
  .map((query) => `/campaign/1${query}`)
const QUERY = fc.oneof(
  { weight: 6, arbitrary: fc.constant('') },
  {
    weight: 1,
    arbitrary: fc
      .array(
        fc.constantFrom(
          ...[
            'page=1',
            'page=2',
            'x=1',
            'x=2',
            'x=%31',
            'y',
            'cookie=late',
            'show=1',
            'utm_source=a',
          ],
          ...['utm_source=b', '__proto__=1', 'x=%zz', 'fail=before'],
        ),
        { minLength: 1, maxLength: 3 },
      )
      .map((pairs) => `?${pairs.join('&')}`),
  },
)

const TARGET = fc.tuple(PATH, QUERY).map(([path, query]) => `/${path}${query}`)

const FIELD = fc.constantFrom(
  ...['X-Trace: a', 'X-Trace: b', 'Accept-Encoding: gzip', 'Accept-Encoding: br, gzip'],
  ...['Accept-Language: de', 'Accept-Language: en', 'Origin: https://a.example'],
  ...['Origin: https://evil.example', 'Authorization: Bearer ann', 'Authorization: Bearer bob'],
  ...['Authorization: Bearer evil', 'Cookie: theme=dark', 'Cookie: theme=light; sid=1'],
  ...['X-Format: pretty', 'X-Format: typed', 'X-State: old'],
  ...['Host: a.example', 'Range: bytes=0-3', 'Range: bytes=0-399', 'Range: bytes=-400'],
  ...['Range: bytes=9000-', 'If-Modified-Since: Sat, 01 Aug 2020 10:00:00 GMT'],
  ...['If-Modified-Since: Sat, 01 Aug 2020 09:59:59 GMT', 'If-Range: "1-0"'],
  ...['Cache-Control: no-cache', 'X-Forwarded-Host: evil'],
)
const FIELDS = fc.oneof(
  { weight: 1, arbitrary: fc.constant<string[]>([]) },
  {
    weight: 1,
    arbitrary: fc.uniqueArray(FIELD, {
      maxLength: 3,
      selector: (line) => line.split(':', 1)[0],
    }),
  },
)

const MATCH = fc.constantFrom('known', 'known', 'weak', 'other', 'any') as fc.Arbitrary<
  NonNullable<Request['match']>
>

const METHODS = [
  ...Array.from({ length: 12 }, () => 'GET'),
  'HEAD',
  'HEAD',
  'HEAD',
  'HEAD',
  'OPTIONS',
]

const READ: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom(...METHODS),
    target: fc.oneof({ weight: 12, arbitrary: TARGET }, { weight: 1, arbitrary: CAMPAIGN }),
    fields: FIELDS,
    match: fc.option(MATCH, { nil: undefined, freq: 4 }),
  })
  .map(({ method, target, fields, match }) => ({
    method,
    target,
    fields,
    ...(match === undefined ? {} : { match }),
  }))

/** As a download goes on, or a player jumps. */
const RANGED: fc.Arbitrary<Request> = fc
  .record({
    range: fc.constantFrom('0-3', '0-399', '-400', '300-', '9000-', '5-4', '0-0, 5-6'),
    others: fc.constantFrom<string[]>([], ['If-Range: "1-0"'], ['Accept-Encoding: gzip']),
    match: fc.option(MATCH, { nil: undefined, freq: 2 }),
  })
  .map(({ range, others, match }) => ({
    method: 'GET',
    target: '/parts/1',
    fields: [`Range: bytes=${range}`, ...others],
    ...(match === undefined ? {} : { match }),
  }))

/** Takes long enough for others to arrive meanwhile, and for a write. */
const SLOW: fc.Arbitrary<Request> = fc
  .constantFrom('/slow/1', '/slow/2', '/slow/1?x=1')
  .map((target) => ({ method: 'GET', target, fields: [] }))

const WRITE: fc.Arbitrary<Request> = fc
  .record({
    method: fc.constantFrom('PUT', 'POST', 'DELETE', 'PATCH'),
    target: fc.oneof(
      { weight: 4, arbitrary: ID.map((id) => `/items/${id}`) },
      { weight: 1, arbitrary: fc.constantFrom('/items/1?fail=before') },
    ),
  })
  .map((write) => ({ ...write, fields: [] }))

const NEWS: fc.Arbitrary<Request> = fc.constant({ method: 'PUT', target: '/news', fields: [] })

/** A burst for few pages, so that requests meet, around at most one write. */
const TOGETHER = fc
  .record({
    pages: fc.array(fc.oneof(READ, SLOW), { minLength: 1, maxLength: 3 }),
    turns: fc.array(fc.tuple(fc.nat(2), fc.nat(20)), { minLength: 2, maxLength: 8 }),
    write: fc.option(fc.tuple(WRITE, fc.nat(10)), { nil: undefined }),
  })
  .map(({ pages, turns, write }) => {
    const requests = turns.map(([page, after]) => ({ request: pages[page % pages.length]!, after }))
    if (write !== undefined) requests.push({ request: write[0], after: write[1] })
    return requests
  })

const WHO = fc.nat(3)

const STEP: fc.Arbitrary<Step> = fc.oneof(
  { weight: 30, arbitrary: fc.tuple(READ, WHO).map(([ask, of]) => ({ ask, of })) },
  { weight: 2, arbitrary: fc.tuple(RANGED, WHO).map(([ask, of]) => ({ ask, of })) },
  { weight: 3, arbitrary: fc.tuple(WRITE, WHO).map(([ask, of]) => ({ ask, of })) },
  { weight: 1, arbitrary: fc.tuple(NEWS, WHO).map(([ask, of]) => ({ ask, of })) },
  { weight: 4, arbitrary: TOGETHER.map((together) => ({ together })) },
  { weight: 2, arbitrary: fc.integer({ min: 1, max: 4000 }).map((pass) => ({ pass })) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('all', 'route', 'url').map((forget) => ({ forget }) as Step),
  },
)

export const STEPS = fc.array(STEP, { maxLength: 400, size: 'max' })

/** The bytes of a request, with the tags that its client knows. */
export function textOf({ method, target, fields, match }: Request, known?: string): string {
  const tags = {
    known,
    weak: known === undefined ? undefined : `W/${known}, "other"`,
    other: '"other"',
    any: '*',
  }
  const tag = match === undefined ? undefined : tags[match]
  const conditional = tag === undefined ? [] : [`If-None-Match: ${tag}`]
  return requestText(target, [...fields, ...conditional], method)
}
