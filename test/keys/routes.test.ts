// Routes that more than the path leads to: rewritten targets, hosts, versions, constraints of the
// application. Two that it routes apart never answer for each other.
import assert from 'node:assert/strict'
import type { IncomingMessage } from 'node:http'
import { test } from 'node:test'

import type { FastifyInstance, FastifyServerOptions } from 'fastify'

import type { CacheClient } from '../../src/index.ts'
import { assertHit } from '../support/assert-status.ts'
import { type Asked, assertAsPlain, assertShared, isHit, seen, startPair } from './pair.ts'

type Rewrite = NonNullable<FastifyServerOptions['rewriteUrl']>

function languageOf({ headers, url }: IncomingMessage): string {
  return `/${headers['accept-language']?.slice(0, 2) ?? 'en'}${url}`
}

const REWRITES: [string, Rewrite, Asked[]][] = [
  [
    'by a field of the request',
    languageOf,
    [
      ['/a', 'Accept-Language: de'],
      ['/a', 'Accept-Language: fr'],
      '/a',
      '/en/a',
      '/de/a',
      '/a?x=1',
    ],
  ],
  [
    'to one page for all',
    () => '/index',
    ['/', '/a', '/a?x=1', '/a?x=2', '/a/b', '/index', '/index?x=1', '//', '/%69ndex', '*'],
  ],
  [
    'to lower case',
    ({ url }) => url!.toLowerCase(),
    ['/a', '/A', '/a?X=1', '/a?x=1', '/A?X=1', '/%2F', '/%2f'],
  ],
  [
    'by decoding it once more',
    ({ url }) => {
      try {
        return decodeURIComponent(url!)
      } catch {
        return '/bad'
      }
    },
    [
      '/a',
      '/%61',
      '/%2561',
      '/a%3Fx=1',
      '/a?x=1',
      '/a%253Fx=1',
      '/a%2Fb',
      '/a/b',
      '/%',
      '/bad',
      '/%2e%2e/a',
    ],
  ],
  [
    'by taking dot segments away',
    ({ url }) => new URL(url!, 'http://h').pathname + new URL(url!, 'http://h').search,
    ['/a', '/./a', '/b/../a', '/b/%2e%2e/a', '/b\\..\\a', '//b/a', '/a?x=/../a', '/b/../a?x=1'],
  ],
  [
    'by its host',
    ({ headers, url }) => `/${headers.host}${url}`,
    [
      ['/a', 'Host: x'],
      ['/a', 'Host: y'],
      ['/x/a', 'Host: y'],
      ['/y/a', 'Host: x'],
      ['/a', 'Host: x/a'],
    ],
  ],
]

for (const [title, rewriteUrl, requests] of REWRITES) {
  test(`targets rewritten ${title} are told apart as the handler tells them apart`, async (t) => {
    const declare = (app: FastifyInstance): void => {
      app.get('/*', { config: { cache: true } }, async (request) => seen(request))
    }
    const hits = await assertAsPlain(
      await startPair(t, declare, { fastify: { rewriteUrl } }),
      requests,
    )
    assert.ok(hits >= requests.length * 2, `only ${hits} hits`)
  })
}

test('a rewrite that changes its mind is answered with what it says now', async (t) => {
  let variant = 'a'
  const { cached } = await startPair(
    t,
    (app) => {
      app.get('/:variant/page', { config: { cache: true } }, async ({ params }) => params)
    },
    { fastify: { rewriteUrl: () => `/${variant}/page` } },
  )
  for (const [now, hit] of [
    ['a', false],
    ['b', false],
    ['a', true],
    ['b', true],
  ] as const) {
    variant = now
    const answer = await cached.get('/page')
    assert.deepEqual([answer.text, isHit(answer)], [`{"variant":"${now}"}`, hit])
  }
})

function declareConstrained(app: FastifyInstance): void {
  const route = (constraints: Record<string, unknown>, name: string): void => {
    app.get('/x', { constraints, config: { cache: true } }, async ({ host, headers }) => ({
      name,
      host,
      version: headers['accept-version'],
    }))
  }
  route({}, 'any')
  route({ host: 'a.example' }, 'host a')
  route({ host: /^.*\.a\.example$/ }, 'hosts below a')
  route({ host: /^(b|c)\.example(:\d+)?$/ }, 'hosts b and c')
  route({ version: '1.0.0' }, 'version 1.0')
  route({ version: '1.2.0' }, 'version 1.2')
  route({ version: '2.0.0' }, 'version 2')
  route({ host: 'a.example', version: '1.2.0' }, 'host a, version 1.2')
}

test('hosts and versions that lead to routes of their own are told apart', async (t) => {
  const requests: Asked[] = []
  for (const host of ['x', 'a.example', 'A.EXAMPLE', 'b.a.example', 'b.example', 'c.example:80']) {
    requests.push(['/x', `Host: ${host}`])
    // One version per route here: what a range is resolved to is not part of the key.
    for (const version of ['1.0.0', '1.2.0', '2.0.0', '3.0.0']) {
      requests.push(['/x', `Host: ${host}`, `Accept-Version: ${version}`])
    }
  }
  await assertAsPlain(await startPair(t, declareConstrained), requests)
})

test('ranges that lead to one version share its response', async (t) => {
  const pair = await startPair(t, (app) => {
    for (const version of ['1.0.0', '1.2.0', '2.0.0']) {
      app.get('/x', { constraints: { version }, config: { cache: true } }, async () => version)
    }
  })
  await assertShared(
    pair,
    ['1.2.0', '1.x', '1.2.x', '1.x.x'].map((range): Asked => ['/x', `Accept-Version: ${range}`]),
  )
  for (const [range, version] of [
    ['1.0.0', '1.0.0'],
    ['1.0.x', '1.0.0'],
    ['2.x', '2.0.0'],
    ['*', '2.0.0'],
    ['1.x', '1.2.0'],
  ]) {
    const answer = await pair.cached.get('/x', [`Accept-Version: ${range}`])
    assert.equal(answer.text, version)
  }
})

/** A constraint as applications make them: a value of the request, looked up. */
function strategy(derive: (request: IncomingMessage) => unknown, isAsync = false): unknown {
  return {
    name: 'tenant',
    storage: () => {
      const stored = new Map<unknown, unknown>()
      return {
        get: (name: unknown) => stored.get(name) ?? stored.get('*') ?? null,
        set: (name: unknown, handler: unknown) => void stored.set(name, handler),
      }
    },
    validate: () => true,
    deriveConstraint: isAsync
      ? (request: IncomingMessage, _ctx: unknown, done: (error: null, value: unknown) => void) => {
          setImmediate(() => done(null, derive(request)))
        }
      : derive,
  }
}

for (const isAsync of [false, true]) {
  test(`routes of ${isAsync ? 'an asynchronous' : 'a'} constraint are told apart, whatever its values`, async (t) => {
    const symbols = [Symbol('x'), Symbol('x')]
    const values = new Map<string, unknown>([
      ['text', '1'],
      ['number', 1],
      ['big', 1n],
      ['yes', true],
      ['yes in words', 'true'],
      ['nothing', 'null'],
      ['symbol', symbols[0]],
      ['its twin', symbols[1]],
      ['object', { id: 1 }],
      ['other object', { id: 2 }],
      ['pattern', /x/],
      ['pattern in words', '/x/'],
    ])
    const derive = ({ headers }: IncomingMessage): unknown =>
      values.get(String(headers['x-tenant']))
    const pair = await startPair(
      t,
      (app) => {
        for (const [name, tenant] of values) {
          const constraints = { tenant: tenant as string }
          app.get(
            '/x',
            { constraints, config: { cache: true }, exposeHeadRoute: false },
            async () => name,
          )
        }
      },
      {
        fastify: { routerOptions: { constraints: { tenant: strategy(derive, isAsync) as never } } },
      },
    )
    for (const round of ['cold', 'warm']) {
      for (const name of values.keys()) {
        const answer = await pair.cached.get('/x', [`X-Tenant: ${name}`])
        assert.deepEqual([answer.status, answer.text], [200, name], round)
        if (round === 'warm') assertHit(answer)
      }
    }
  })
}

test('a path of several routes, and its forms that the router takes for one, can be invalidated', async (t) => {
  let cache!: CacheClient
  const { cached } = await startPair(
    t,
    (app) => {
      if (app.hasDecorator('cache')) cache = app.cache
      app.get('/Shop/:id', { config: { cache: true } }, async ({ url }) => url)
    },
    { fastify: { routerOptions: { caseSensitive: false, ignoreTrailingSlash: true } } },
  )
  const forms = ['/Shop/1', '/shop/1', '/SHOP/1', '/shop/1/', '/shop/%31']
  for (const target of forms) assert.equal((await cached.get(target)).text, target)
  for (const target of forms) assertHit(await cached.get(target))
  await cache.invalidateRoute('/Shop/:id')
  for (const target of forms) assert.ok(!isHit(await cached.get(target)), target)
})
