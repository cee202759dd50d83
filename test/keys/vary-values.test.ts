// Values of declared fields, cookies and functions as they come over the wire: lines that repeat,
// delimiters of every kind, types that a schema makes of them.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { CacheRequest, VaryOptions } from '../../src/index.ts'
import { assertBypass, assertHit, statusOf } from '../support/assert-status.ts'
import { type Asked, type Pair, assertAsPlain, assertShared, isHit, startPair } from './pair.ts'

/** A page that shows all that it varies on, in a form that nothing is lost in. */
function startVarying(t: TestContext, vary: VaryOptions, schema: object = {}): Promise<Pair> {
  return startPair(t, (app) => {
    app.get('/x', { schema, config: { cache: { vary } } }, async ({ headers }) => {
      const { 'x-a': a, 'x-b': b, 'accept-language': language, cookie } = headers
      return JSON.stringify([typeof a, a, typeof b, b, language, cookie])
    })
  })
}

/** What separates things in headers, keys, JSON, netstrings and Redis. */
const DELIMITERS = [
  ...[',', ', ', ';', ':', '=', '|', '/', '\\', '"', "'", '-', '_', '.', '0:', '1:', '1:a', '-1:a'],
  ...[
    '{',
    '}',
    '[',
    ']',
    '["',
    '%00',
    '%2C',
    '+',
    '*',
    '?',
    '#',
    '$',
    '&',
    '@',
    '^',
    '~',
    '`',
    '(',
  ],
  ...[
    'null',
    'undefined',
    'NaN',
    'true',
    '{}',
    '[]',
    '[object Object]',
    '__proto__',
    'h',
    'c',
    'b',
  ],
]

test('no delimiter in one value makes it another, or a part of the next', async (t) => {
  const pair = await startVarying(t, { headers: ['x-a', 'x-b'] })
  const requests: Asked[] = ['/x', ['/x', 'X-A:'], ['/x', 'X-B:'], ['/x', 'X-A:', 'X-B:']]
  for (const delimiter of DELIMITERS) {
    requests.push(
      ['/x', `X-A: a${delimiter}b`],
      ['/x', 'X-A: a', `X-B: ${delimiter}b`],
      ['/x', `X-A: a${delimiter}`, 'X-B: b'],
      ['/x', `X-B: a${delimiter}b`],
      ['/x', `X-A: ${delimiter}`],
      ['/x', `X-B: ${delimiter}`],
    )
  }
  const distinct = [...new Map(requests.map((asked) => [String(asked), asked])).values()]
  assert.ok((await assertAsPlain(pair, distinct)) >= distinct.length * 3)
})

test('bytes beyond ASCII, tabs and spaces inside a value count', async (t) => {
  const pair = await startVarying(t, { headers: ['x-a'] })
  await assertAsPlain(
    pair,
    [
      'a b',
      'a  b',
      'a\tb',
      'a\u00a0b',
      '\u00e9',
      '\u00c3\u00a9',
      'e',
      '\u00ff',
      'A B',
      'a\u0080b',
    ].map((value): Asked => ['/x', `X-A: ${value}`]),
  )
  await assertShared(pair, [
    ['/x', 'X-A: padded'],
    ['/x', 'X-A:padded'],
    ['/x', 'x-a:   padded  '],
  ])
})

test('lines of one field are compared as the application gets them', async (t) => {
  const pair = await startVarying(t, { headers: ['x-a', 'accept-language', 'x-b'] })
  await assertAsPlain(pair, [
    ['/x', 'X-A: 1', 'X-A: 2'],
    ['/x', 'X-A: 2', 'X-A: 1'],
    ['/x', 'X-A: 1,2'],
    ['/x', 'X-A: 1', 'X-A:'],
    ['/x', 'X-A: 1', 'X-B: 2'],
    ['/x', 'Accept-Language: de', 'Accept-Language: en'],
    ['/x', 'Accept-Language: en', 'Accept-Language: de'],
    ['/x', 'Accept-Language: de,en'],
    ['/x', 'Accept-Language: DE, EN'],
  ])
  await assertShared(pair, [
    ['/x', 'X-A: 3', 'X-A: 4'],
    ['/x', 'X-A: 3, 4'],
  ])
})

/** Who came first decides: Node drops the other lines, and so the application never sees them. */
test('lines that Node drops reach neither the application nor the key', async (t) => {
  const pair = await startPair(t, (app) => {
    const cache = { vary: { headers: ['authorization'] } }
    app.get('/x', { config: { cache } }, async ({ headers }) => headers.authorization ?? 'nobody')
  })
  await assertAsPlain(pair, [
    ['/x', 'Authorization: ann'],
    ['/x', 'Authorization: bob', 'Authorization: ann'],
    ['/x', 'Authorization: ', 'Authorization: ann'],
    '/x',
  ])
  await assertShared(pair, [
    ['/x', 'Authorization: ann'],
    ['/x', 'Authorization: ann', 'Authorization: bob'],
  ])
})

const COOKIES = [
  ...['a=1', 'a=2', 'a=', 'a', 'a=1; a=2', 'a=2; a=1', 'a=1;a=2', 'a=1; b=2', 'b=1; a=2', 'b=2'],
  ...[
    'a="1"',
    'a=1,b=2',
    'a=1%3Bb=2',
    'a=1=2',
    'a==1',
    'a=1:1',
    'A=1',
    'a =1',
    'a= 1',
    ' a=1 ; b=2 ',
  ],
  ...[
    'a=1; =b',
    '=',
    ';',
    ';;',
    'a=1;',
    'a=1 2',
    'a=%31',
    '__proto__=1',
    'a=1; __proto__=b',
    'b=1;a',
  ],
]

test('cookies are compared one by one; other cookies beside them go around', async (t) => {
  const pair = await startPair(t, (app) => {
    const cache = { vary: { cookies: ['a', 'b'] } }
    app.get('/x', { config: { cache } }, async ({ headers }) => {
      // As parsers of cookies read them: first one wins, surrounding spaces and quotes are dropped.
      const read = (name: string): string | undefined =>
        headers.cookie
          ?.split(';')
          .map((pair) => pair.split(/=(.*)/s).map((part) => part.trim()))
          .find(([own, value]) => own === name && value !== undefined)?.[1]
      return JSON.stringify([read('a'), read('b')])
    })
  })
  const expected = new Map<string, string>()
  for (const cookie of COOKIES) {
    expected.set(cookie, (await pair.plain.get('/x', [`Cookie: ${cookie}`])).text)
  }
  let hits = 0
  for (const round of ['cold', 'warm', 'hot']) {
    for (const cookie of COOKIES) {
      const answer = await pair.cached.get('/x', [`Cookie: ${cookie}`])
      assert.equal(answer.text, expected.get(cookie), `${cookie} on a ${round} cache`)
      if (isHit(answer)) hits++
    }
  }
  assert.ok(hits > COOKIES.length, `only ${hits} hits`)
  const lines = ['Cookie: a=1', 'Cookie: b=2']
  assert.equal((await pair.cached.get('/x', lines)).text, '["1","2"]')
  assertBypass(await pair.cached.get('/x', ['Cookie: a=1', 'Cookie: sid=1']), 'cookie')
})

// Regression: a value that a schema made null was an error in the handler's place.
for (const type of [['integer', 'null'], ['boolean', 'null'], 'null', 'number', 'integer']) {
  test(`fields that a schema makes ${String(type)} are told apart as before and after it`, async (t) => {
    const schema = {
      headers: { type: 'object', properties: { 'x-a': { type }, 'x-b': { type } } },
    }
    const pair = await startVarying(t, { headers: ['x-a', 'x-b'] }, schema)
    const requests: Asked[] = ['/x']
    for (const a of ['', '1', '01', '11', '0', '-0', 'true', 'false', 'null', 'x']) {
      requests.push(['/x', `X-A: ${a}`], ['/x', `X-B: ${a}`])
      for (const b of ['', '1', '0', 'false']) requests.push(['/x', `X-A: ${a}`, `X-B: ${b}`])
    }
    await assertAsPlain(pair, requests)
  })
}

test('fields that a schema splits into lists are told apart', async (t) => {
  const { cached, plain } = await startPair(
    t,
    (app) => {
      const schema = {
        headers: {
          type: 'object',
          properties: { 'x-a': { type: 'array', items: { type: 'string' } } },
        },
      }
      const config = { cache: { vary: { headers: ['x-a'] } } }
      app.get('/x', { schema, config }, async ({ headers }) => ({ a: headers['x-a'] ?? null }))
    },
    { fastify: { ajv: { customOptions: { coerceTypes: 'array' } } } },
  )
  await assertAsPlain({ cached, plain }, [
    '/x',
    ['/x', 'X-A: a, b'],
    ['/x', 'X-A: a', 'X-A: b'],
    ['/x', 'X-A: a,b'],
    ['/x', 'X-A:'],
    ['/x', 'X-A: ["a","b"]'],
  ])
})

const FUNCTIONS: [string, (request: CacheRequest) => unknown][] = [
  ['undefined', () => undefined],
  ['a promise', ({ headers }) => Promise.resolve(headers['x-a'])],
  [
    'a thenable',
    ({ headers }) =>
      // oxlint-disable-next-line unicorn/no-thenable -- what some libraries return
      Object.fromEntries([['then', (done: (value: unknown) => void) => done(headers['x-a'])]]),
  ],
  ['a number', ({ headers }) => Number(headers['x-a']?.length)],
  ['an object', ({ headers }) => ({ a: headers['x-a'] })],
  ['a list', ({ headers }) => [headers['x-a']]],
  ['a String object', ({ headers }) => new String(headers['x-a'])],
  ['a symbol', () => Symbol('a')],
  ['null', () => null],
  [
    'nothing, because it throws',
    () => {
      throw new Error('who?')
    },
  ],
  [
    'nothing, because it throws no error',
    () => {
      // oxlint-disable-next-line typescript/only-throw-error -- what libraries do
      throw 'who?'
    },
  ],
]

for (const [title, by] of FUNCTIONS) {
  test(`vary.by that returns ${title} never gives one person the page of another`, async (t) => {
    const errors: string[] = []
    // Identified by a field of the application's own: only the function knows of it.
    const { cached } = await startPair(
      t,
      (app) => {
        app.get('/x', { config: { cache: { vary: { by: by as never } } } }, async ({ headers }) => {
          return `for ${headers['authorization'] ?? 'all'}`
        })
      },
      { cache: { onError: (_error, { operation }) => errors.push(operation) } },
    )
    for (let round = 0; round < 2; round++) {
      for (const person of ['ann', 'bob']) {
        const answer = await cached.get('/x', [`X-A: ${person}`, `Authorization: ${person}`])
        assert.deepEqual([answer.status, answer.text], [200, `for ${person}`])
        assert.equal(statusOf(answer).fwd, 'bypass')
      }
    }
    // Without a sign of identity and without an error, there is one page for all.
    await cached.get('/x')
    const again = await cached.get('/x')
    if (title === 'undefined') assertHit(again)
    else assertBypass(again, 'vary-by-failed')
    assert.equal(errors.includes('vary.by'), title !== 'undefined')
  })
}

test('vary.by of 100 kB over the wire: the last character counts, and costs no memory per request', async (t) => {
  const by = ({ headers }: CacheRequest): string => 'x'.repeat(100_000) + String(headers['x-a'])
  const pair = await startVarying(t, { by })
  await assertAsPlain(
    pair,
    ['a', 'b', '', 'ab', 'x'].map((value): Asked => ['/x', `X-A: ${value}`]),
  )
})

test('vary.by tells texts apart that are no well-formed Unicode', async (t) => {
  const units = ['\ud800', '\udfff', '\ufffd', '\ud83d\ude00', '\u0000', '']
  const by = ({ headers }: CacheRequest): string => units[Number(headers['x-a'])]!
  const pair = await startVarying(t, { by })
  await assertAsPlain(
    pair,
    units.map((_, index): Asked => ['/x', `X-A: ${index}`]),
  )
})
