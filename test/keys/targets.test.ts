// Targets written to the socket as attackers write them. Whatever the router makes of a target, only
// requests that it and the parser of queries read alike may share a response.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import fc from 'fast-check'
import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { parse as parseNested } from 'qs'

import { type Pair, assertAsPlain, assertShared, isHit, seen, startPair } from './pair.ts'

/** One route for each way to match: fixed, named, several in a segment, by pattern, the rest. */
const ROUTES = ['/a', '/a/b', '/A/:x', '/b/:x/:y', '/c/:x-:y', '/d/:n(^\\d+$)', '/d/:x', '/*']

async function startRoutes(
  t: TestContext,
  routerOptions: FastifyServerOptions['routerOptions'] = {},
): Promise<Pair> {
  const declare = (app: FastifyInstance): void => {
    for (const route of ROUTES) {
      app.get(route, { config: { cache: true } }, async (request) => seen(request))
    }
  }
  return startPair(t, declare, { fastify: { routerOptions } })
}

const ROUTERS: [string, FastifyServerOptions['routerOptions']][] = [
  ['as it is', {}],
  ['that ignores trailing slashes', { ignoreTrailingSlash: true }],
  ['that ignores case', { caseSensitive: false }],
  ['that ignores duplicate slashes', { ignoreDuplicateSlashes: true }],
  ['with semicolons as delimiters', { useSemicolonDelimiter: true } as never],
  [
    'that ignores case, trailing and duplicate slashes, and splits at semicolons',
    {
      caseSensitive: false,
      ignoreTrailingSlash: true,
      ignoreDuplicateSlashes: true,
      useSemicolonDelimiter: true,
    } as never,
  ],
  ['with nested queries', { querystringParser: (text) => parseNested(text) }],
  [
    'with nested queries that may name what every object has',
    {
      querystringParser: (text) =>
        parseNested(text, { allowPrototypes: true, plainObjects: true, allowDots: true }),
    },
  ],
]

/** Each line: targets that look alike to some proxy, some parser or some human. */
const LOOKALIKES: string[][] = [
  ['/b/x/y', '/b/x%2Fy', '/b/x%2fy', '/b/x%252Fy', '/b/x%252fy', '/b/x%25252Fy', '/b/x//y'],
  ['/A/x%2Fy', '/A/x%2fy', '/A/x%252Fy', '/A/x%5Cy', '/A/x\\y', '/A/x%255Cy'],
  ['/a', '/a/', '//a', '/./a', '/a/.', '/x/../a', '/x/%2e%2e/a', '/x/.%2E/a', '/x/..%2fa'],
  ['/a', '/%61', '/%2561', '/A', '/%41', '/a%20', '/a%00', '/a%0a', '/a%0d%0aX:1', '/a.', '/a%2e'],
  ['/a/b', '/a%2Fb', '/a/%62', '/a//b', '/a/./b', '/a\\b', '/a/b/', '/a/b//', '/a;/b', '/a/b;'],
  ['/a?x=1', '/a%3Fx=1', '/a%3fx=1', '/a%253Fx=1', '/a#?x=1', '/a?x=1#', '/a?#x=1', '/a;?x=1'],
  [
    '/a;x=1',
    '/a%3Bx=1',
    '/a%3bx=1',
    '/a;x=1?y=2',
    '/a?y=2;x=1',
    '/a;y=2;x=1',
    '/a;?x=1',
    '/a;x=1#',
  ],
  ['/a#b?x=1', '/a?b?x=1', '/a#b', '/a%23b', '/a%23b?x=1', '/a?x=1#b', '/a#b#c?x=1', '/a?b#c?x=1'],
  ['/d/1', '/d/01', '/d/+1', '/d/1%20', '/d/%31', '/d/1.0', '/d/1/', '/d/1?', '/d/1;', '/d/-1'],
  ['/c/1-2', '/c/1%2D2', '/c/1-2-3', '/c/1--2', '/c/-', '/c/1-', '/c/1%252D2', '/c/1-2%2f3'],
  ['/zz', '/%', '/%z', '/%zz', '/%c3', '/%c3%28', '/%ff', '/%E0%80%80', '/%u0061', '/a%'],
  [
    '/caf\u00c3\u00a9',
    '/caf%C3%A9',
    '/caf%c3%a9',
    '/cafe%CC%81',
    '/caf\u00e9',
    '/caf%E9',
    '/caf%25C3%25A9',
  ],
  ['http://localhost/a', 'HTTP://localhost/a', 'http://LOCALHOST/a', 'http://localhost:80/a'],
  [
    'http://evil.example/a',
    'http://evil.example',
    'http://evil.example?x=/a',
    'http://evil.example/?x=/a',
  ],
  ['http://h/b/x/y?q', 'http://h/b/x?q/y', 'http://h?b/x/y', 'http://h#/b/x/y', 'http://h\\b/x/y'],
  [
    'http://u@h/a',
    'http://u:p@h/a',
    'http://h@u/a',
    'http://h%2Fa',
    'http:///a',
    'http:/a',
    'http:a',
  ],
  ['https://h/a', 'ftp://h/a', 'file:///a', '*', '/*', '/%2A', '/:x', '/b/:x/:y', '/b/*/y'],
  [
    '//evil.example/a',
    '///evil.example/a',
    '/\\evil.example/a',
    '/%2Fevil.example/a',
    '/evil.example/a',
  ],
]

for (const [title, routerOptions] of ROUTERS) {
  test(`a router ${title} never answers for a lookalike`, async (t) => {
    const hits = await assertAsPlain(await startRoutes(t, routerOptions), LOOKALIKES.flat())
    assert.ok(hits > LOOKALIKES.length * 3 * 3, `only ${hits} hits`)
  })
}

const FRAGMENTS = [
  ...['/', '//', '/a', '/A/', '/b/', '/c/', '/d/', 'a', 'b', '1', '-', '.', '..', '/../', '/./'],
  ...['%2e', '%2E', '%2f', '%2F', '%252f', '%25', '%', '%zz', '%00', '%5c', '\\', '%61', '%C3%A9'],
  ...[
    '%c3%a9',
    '\u00e9',
    '\u00c3\u00a9',
    ';',
    '%3b',
    '#',
    '%23',
    '?',
    '?',
    '?',
    '%3f',
    '&',
    '&',
    '=',
  ],
  ...['=', 'x', 'x=1', 'y=2', '+', '%20', '%2B', '[]', '[y]', '[0]', '.y', ',', ':', '@', '*', '~'],
  ...['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'http://', "'", '"', '|', '^', '`'],
]

const TARGET = fc
  .tuple(
    fc.constantFrom(
      '/',
      '/',
      '/a',
      '/a?',
      '/A/',
      '/b/x/',
      '/c/',
      '/d/',
      '//',
      'http://h/',
      'http://h/a?',
    ),
    fc.array(fc.constantFrom(...FRAGMENTS), { maxLength: 6 }),
  )
  .map(([start, fragments]) => start + fragments.join(''))

for (const [title, routerOptions] of ROUTERS) {
  // One cache for all runs: what one target has left there must not be found by another.
  test(`of thousands of targets at random, a router ${title} mixes up none`, async (t) => {
    const pair = await startRoutes(t, routerOptions)
    let hits = 0
    await fc.assert(
      fc.asyncProperty(TARGET, async (target) => {
        const expected = await pair.plain.get(target)
        for (let visit = 0; visit < 2; visit++) {
          const answer = await pair.cached.get(target)
          assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
          if (isHit(answer)) hits++
        }
      }),
      { numRuns: 250 },
    )
    assert.ok(hits > 150, `only ${hits} hits`)
  })
}

test('targets that the router and the parser read alike share a response', async (t) => {
  const pair = await startRoutes(t)
  for (const alike of [
    ['/a?x=1&y=2', '/a?y=2&x=1', '/a?%78=1&y=%32', '/a?&x=1&&y=2&'],
    ['/a?x=a%20b', '/a?x=a+b', '/a?x=%61%20b'],
    ['/a?x=%C3%A9', '/a?x=%c3%a9'],
    ['/a?x', '/a?x='],
    ['/A/%20?', '/A/%20'],
    ['/a?x[y]=1', '/a?x%5By%5D=1', '/a?x%5by]=1'],
  ]) {
    await assertShared(pair, alike)
  }
})

test('with semicolons as delimiters only the part after a question mark is compared as it is read', async (t) => {
  const pair = await startRoutes(t, { useSemicolonDelimiter: true } as never)
  await assertShared(pair, ['/a?x=1&y=2', '/a?y=2&x=1'])
  // What stands after a semicolon is the path to the key: more keys, and never fewer.
  assert.ok(!isHit(await pair.cached.get('/a;x=1&y=2')))
  assert.ok(!isHit(await pair.cached.get('/a;y=2&x=1')))
  assert.ok(isHit(await pair.cached.get('/a;x=1&y=2')))
})
