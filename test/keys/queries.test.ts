// Queries as parsers, schemas and hooks read them: those that any of these tells apart never share.
import assert from 'node:assert/strict'
import { parse as parsePlain } from 'node:querystring'
import { test } from 'node:test'

import type { FastifyInstance, FastifyServerOptions } from 'fastify'
import { parse as parseNested } from 'qs'

import type { CacheClient } from '../../src/index.ts'
import { type Asked, assertAsPlain, assertShared, isHit, seen, startPair } from './pair.ts'

type Parser = NonNullable<NonNullable<FastifyServerOptions['routerOptions']>['querystringParser']>

function withParser(querystringParser: Parser): { fastify: FastifyServerOptions } {
  return { fastify: { routerOptions: { querystringParser } } }
}

function declareSeen(app: FastifyInstance): void {
  app.get('/a', { config: { cache: true } }, async (request) => seen(request))
}

/** Names that objects have of themselves, alone, repeated and nested. */
const INHERITED = [
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'valueOf',
  'hasOwnProperty',
  'isPrototypeOf',
  '__defineGetter__',
  '__lookupGetter__',
  'toJSON',
  'then',
  'length',
  'pop',
  'push',
]

const BY_NAME: Asked[] = INHERITED.flatMap((name) => [
  `/a?${name}`,
  `/a?${name}=1`,
  `/a?${name}=2`,
  `/a?${name}=1&${name}=2`,
  `/a?${name}=2&${name}=1`,
  `/a?${name}[x]=1`,
  `/a?${name}[x]=2`,
  `/a?${name}.x=1`,
  `/a?x[${name}]=1`,
  `/a?x[${name}]=2`,
  `/a?x[${name}][y]=1`,
  `/a?${name}[${name}]=1`,
  `/a?${name}%00=1`,
])

const PARSERS: [string, Parser | undefined][] = [
  ['of Fastify', undefined],
  ['of Node', (text) => parsePlain(text)],
  ['qs', (text) => parseNested(text)],
  ['qs with plain objects', (text) => parseNested(text, { plainObjects: true })],
  ['qs with prototypes allowed', (text) => parseNested(text, { allowPrototypes: true })],
  [
    'qs with dots, commas and nulls',
    (text) => parseNested(text, { allowDots: true, comma: true, strictNullHandling: true }),
  ],
  ['URLSearchParams', (text) => new URLSearchParams(text) as never],
  ['URLSearchParams as an object', (text) => Object.fromEntries(new URLSearchParams(text))],
  ['that returns a text', (text) => text as never],
  ['that returns nothing', () => undefined as never],
  ['that returns a list', (text) => text.split('&') as never],
]

for (const [title, parser] of PARSERS) {
  test(`parameters with names that objects have anyway are told apart by the parser ${title}`, async (t) => {
    const declare = (app: FastifyInstance): void => {
      app.get('/a', { config: { cache: true } }, async ({ query }) => describe(query))
    }
    const hits = await assertAsPlain(await startPair(t, declare, parser && withParser(parser)), [
      '/a',
      ...BY_NAME,
    ])
    assert.ok(hits >= BY_NAME.length * 3)
  })
}

/** All that can be seen of a value, with the order of names, which parsers decide, left out. */
function describe(value: unknown): unknown {
  if (value instanceof URLSearchParams) return { pairs: [...value].map(String) }
  if (Array.isArray(value)) return { list: value.map(describe) }
  if (value === undefined || value === null || typeof value !== 'object') {
    return { [typeof value]: Object.is(value, -0) ? '-0' : String(value) }
  }
  return Object.getOwnPropertyNames(value)
    .sort()
    .map((name) => [name, describe((value as Record<string, unknown>)[name])])
}

/** Reads numbers and booleans, as applications' own parsers do. */
const typed: Parser = (text) =>
  Object.fromEntries(
    [...new URLSearchParams(text)].map(([name, value]) => [name, typedValue(value)]),
  )

function typedValue(value: string): unknown {
  if (value === 'true' || value === 'false') return value === 'true'
  if (value === 'null') return null
  if (value === 'undefined') return undefined
  if (/^\d+n$/.test(value)) return BigInt(value.slice(0, -1))
  if (/^\d{4}-\d\d-\d\d$/.test(value)) return new Date(value)
  if (value === '' || value.startsWith('"')) return value
  return Number.isNaN(Number(value)) && value !== 'NaN' ? value : Number(value)
}

// Regression: zero and minus zero had one text in the key.
test('values that a parser gives types are told apart by type, up to the sign of zero', async (t) => {
  const declare = (app: FastifyInstance): void => {
    app.get('/a', { config: { cache: true } }, async ({ query }) => describe(query))
  }
  const pair = await startPair(t, declare, withParser(typed))
  await assertAsPlain(
    pair,
    [
      ...['0', '-0', '"0"', '"-0"', '1', '"1"', '1n', '1e999', '-1e999', 'NaN', '"NaN"', 'true'],
      ...['"true"', 'false', 'null', '"null"', 'undefined', '"undefined"', '', '""', '2026-01-01'],
      ...['2026-01-02', '9007199254740993', '9007199254740993n', '9007199254740992n'],
    ].map((value) => `/a?x=${value}`),
  )
  await assertShared(pair, ['/a?x=1', '/a?x=1.0', '/a?x=1e0', '/a?x=%31'])
})

const SHAPES: Asked[] = [
  ...['x=1', 'x=01', 'x=1.0', 'x=%31', 'x=1&x=1', 'x=1&x=2', 'x=2&x=1', 'x[]=1', 'x', 'x='],
  ...['', 'x=1&y=2', 'y=2', 'y=2&y=3', 'y=3&y=2', 'x=1&z=1', 'z=1', 'x=-1', 'x=-0', 'x=0', 'y='],
  ...['x=1,2', 'x=true', 'y=true', 'y=null', 'x=1&__proto__=1', 'constructor=1'],
].map((query) => `/a?${query}`)

for (const coerceTypes of [true, false, 'array'] as const) {
  for (const removeAdditional of [true, 'all', false] as const) {
    test(`a schema with coerceTypes ${coerceTypes} and removeAdditional ${removeAdditional} mixes up no queries`, async (t) => {
      const querystring = {
        type: 'object',
        additionalProperties: false,
        properties: {
          x: { type: 'integer', default: 7 },
          y: { type: 'array', items: { type: 'string' } },
        },
      }
      const pair = await startPair(
        t,
        (app) => {
          app.get('/a', { schema: { querystring }, config: { cache: true } }, async (request) =>
            seen(request),
          )
        },
        { fastify: { ajv: { customOptions: { coerceTypes, removeAdditional } } } },
      )
      await assertAsPlain(pair, SHAPES)
    })
  }
}

test('a parameter that a schema strips is part of the key, as the handler can see it in the URL', async (t) => {
  const querystring = {
    type: 'object',
    additionalProperties: false,
    properties: { x: { type: 'string' } },
  }
  const pair = await startPair(t, (app) => {
    app.get('/a', { schema: { querystring }, config: { cache: true } }, async ({ url, query }) => ({
      url,
      query,
    }))
  })
  await assertAsPlain(pair, ['/a?x=1', '/a?x=1&evil=2', '/a?x=1&evil=3', '/a?evil=2', '/a'])
})

/** What browsers send encoded, as only an attacker sends it, and both as parsers read it. */
const UNENCODED: [sent: string, encoded: string][] = [
  ['/a?x=<script>', '/a?x=%3Cscript%3E'],
  ['/a?x="onload="', '/a?x=%22onload=%22'],
  ['/a?<b>=1', '/a?%3Cb%3E=1'],
  ["/a?x='", '/a?x=%27'],
  ['/a?x=1#y', '/a?x=1%23y'],
]

// Regression: the key had the query as it was decoded, and pages that show their own URL trust
// browsers to encode it.
test('a query that no browser sends is never answered for the one that browsers send', async (t) => {
  const pair = await startPair(t, (app) => {
    app.get(
      '/a',
      { config: { cache: true } },
      async (request) => `<link rel="canonical" href="${request.url}">`,
    )
  })
  for (const [sent, encoded] of UNENCODED) {
    assert.ok(!(await pair.cached.get(sent)).text.includes('%'))
    const answer = await pair.cached.get(encoded)
    assert.equal(answer.text, (await pair.plain.get(encoded)).text)
    for (const asked of [sent, encoded]) assert.ok(isHit(await pair.cached.get(asked)), asked)
  }
})

test('invalidateUrl forgets a query however it was encoded', async (t) => {
  let cache!: CacheClient
  const { cached } = await startPair(t, (app) => {
    if (app.hasDecorator('cache')) cache = app.cache
    declareSeen(app)
  })
  for (const [sent, encoded] of UNENCODED) {
    // In a URL that is named to be forgotten, what follows a hash is a fragment.
    for (const named of [sent, encoded].filter((url) => !url.includes('#'))) {
      for (const asked of [sent, encoded]) await cached.get(asked)
      await cache.invalidateUrl(named)
      for (const asked of [sent, encoded]) {
        assert.ok(!isHit(await cached.get(asked)), `${asked} is forgotten with ${named}`)
      }
    }
  }
})

test('repeated parameters are compared value by value, in their order', async (t) => {
  const pair = await startPair(t, declareSeen)
  await assertAsPlain(pair, [
    ...['/a?x=1', '/a?x=1&x=1', '/a?x=1&x=1&x=1', '/a?x=1&x', '/a?x&x=1', '/a?x&x', '/a?x=1,1'],
    ...['/a?x=1&y=2&x=3', '/a?x=3&y=2&x=1', '/a?x=1%26x=1', '/a?x=1&X=1', '/a?x=a1:1&x=b'],
    ...['/a?x=s1:1', '/a?x=a2;s1:1s1:1', '/a?x=1:x', '/a?x=&x=', '/a?x=', '/a?=1&=2', '/a?=2&=1'],
  ])
  await assertShared(pair, ['/a?x=1&y=2&x=4', '/a?x=1&x=4&y=2', '/a?y=2&x=1&x=4'])
})

test('what no parser can decode is compared as it came', async (t) => {
  for (const setup of [{}, withParser((text) => parseNested(text))]) {
    const pair = await startPair(t, declareSeen, setup)
    await assertAsPlain(
      pair,
      ['%', '%z', '%zz', '%2', '%25zz', '%c3', '%C3%28', '%ff', '%FF', '%u0041', '%00', '%0'].map(
        (escape) => `/a?x=${escape}`,
      ),
    )
  }
})
