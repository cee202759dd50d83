// What app.cache invalidates, seen by the next requests: URLs, routes, everything.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { FastifyInstance } from 'fastify'

import type { CacheClient } from '../../src/index.ts'
import { assertHit } from '../support/assert-status.ts'
import { type Client, type Setup, start } from '../support/app.ts'

interface Site {
  client: Client
  cache: CacheClient
}

async function startSite(
  t: TestContext,
  declare: (app: FastifyInstance) => void,
  setup: Setup = {},
): Promise<Site> {
  let cache!: CacheClient
  const client = await start(
    t,
    (app) => {
      cache = app.cache
      declare(app)
    },
    setup,
  )
  return { client, cache }
}

type Asked = [target: string, ...headers: string[]]

/** Warms all, invalidates, and compares which of them are gone. */
async function assertForgets(
  { client }: Site,
  invalidate: () => Promise<void>,
  all: Asked[],
  gone: Asked[],
): Promise<void> {
  const ask = ([target, ...headers]: Asked): ReturnType<Client['target']> =>
    client.target(
      target,
      headers.some((field) => field.startsWith('Host')) ? headers : ['Host: localhost', ...headers],
    )
  for (const asked of all) await ask(asked)
  for (const asked of all) assertHit(await ask(asked))
  await invalidate()
  const forgotten: Asked[] = []
  for (const asked of all) {
    if (!/hit/.test(String((await ask(asked)).headers['cache-status']))) forgotten.push(asked)
  }
  assert.deepEqual(forgotten, gone)
}

const echo = async (): Promise<string> => 'page'

const PAGES: Asked[] = [
  ['/a'],
  ['/a?x=1'],
  ['/a?x=1&y=2'],
  ['/a', 'Host: other.example'],
  ['/a?x=1', 'X-Segment: s'],
  ['/a/'],
  ['/ab'],
  ['/b'],
]

function declarePages(app: FastifyInstance): void {
  app.get('/*', { config: { cache: { vary: { headers: ['x-segment'] } } } }, echo)
}

test('invalidateUrl of a path forgets all its queries, hosts and variants, and no other path', async (t) => {
  const site = await startSite(t, declarePages)
  const gone = PAGES.filter(([target]) => target.split('?', 1)[0] === '/a')
  for (const url of ['/a', 'http://localhost/a', 'https://any.example/a#part']) {
    await assertForgets(site, () => site.cache.invalidateUrl(url), PAGES, gone)
  }
})

test('invalidateUrl with a query forgets that query on all hosts, in any order of names', async (t) => {
  const site = await startSite(t, declarePages)
  await assertForgets(site, () => site.cache.invalidateUrl('/a?y=2&x=1'), PAGES, [['/a?x=1&y=2']])
  await assertForgets(site, () => site.cache.invalidateUrl('/a?x=1'), PAGES, [
    ['/a?x=1'],
    ['/a?x=1', 'X-Segment: s'],
  ])
  await assertForgets(site, () => site.cache.invalidateUrl('/a?'), PAGES, [
    ['/a'],
    ['/a', 'Host: other.example'],
  ])
  await assertForgets(site, () => site.cache.invalidateUrl('/a?x=2'), PAGES, [])
})

test('invalidateUrl reads a query as the filter of the route does', async (t) => {
  const filters = [
    [{ ignore: ['utm_*'] }, '/a?x=1&utm_source=y', '/a?x=1'],
    [{ only: ['page'] }, '/a?other=1&page=1', '/a?page=1'],
  ] as const
  for (const [query, url, gone] of filters) {
    const site = await startSite(t, (app) => {
      app.get('/a', { config: { cache: { vary: { query } } } }, echo)
    })
    await assertForgets(site, () => site.cache.invalidateUrl(url), [['/a'], [gone]], [[gone]])
  }
})

test('invalidateUrl names a rewritten URL by either of its names', async (t) => {
  const site = await startSite(t, (app) => void app.get('/a', { config: { cache: true } }, echo), {
    fastify: { rewriteUrl: (request) => request.url!.replace(/^\/v1/, '') },
  })
  await assertForgets(
    site,
    () => site.cache.invalidateUrl('/v1/a'),
    [['/v1/a'], ['/a']],
    [['/v1/a']],
  )
  await assertForgets(
    site,
    () => site.cache.invalidateUrl('/a'),
    [['/v1/a'], ['/a']],
    [['/v1/a'], ['/a']],
  )
})

test('invalidateRoute forgets the responses of one pattern', async (t) => {
  const site = await startSite(t, (app) => {
    for (const url of ['/things/:id', '/things', '/others/:id'])
      app.get(url, { config: { cache: true } }, echo)
  })
  const all: Asked[] = [['/things/1'], ['/things/2?x'], ['/things'], ['/others/1']]
  const gone: Asked[] = [['/things/1'], ['/things/2?x']]
  await assertForgets(site, () => site.cache.invalidateRoute('/things/:id'), all, gone)
})

test('invalidateTags forgets what carries one of the tags; unlike kinds of names never meet', async (t) => {
  const site = await startSite(t, (app) => {
    for (const [url, tags] of Object.entries({
      '/a': ['one', 'two'],
      '/b': ['two'],
      '/c': ['/a'],
      '/d': [],
    })) {
      app.get(url, { config: { cache: { tags } } }, echo)
    }
  })
  const all: Asked[] = [['/a'], ['/b'], ['/c'], ['/d']]
  for (const mode of ['expire', 'soft', 'purge'] as const) {
    await assertForgets(site, () => site.cache.invalidateTags(['one'], { mode }), all, [['/a']])
    await assertForgets(site, () => site.cache.invalidateTags(['two', 'none']), all, [
      ['/a'],
      ['/b'],
    ])
    await assertForgets(site, () => site.cache.invalidateTags([]), all, [])
    await assertForgets(site, () => site.cache.invalidateTags(['/a']), all, [['/c']])
    await assertForgets(site, () => site.cache.invalidateUrl('/a'), all, [['/a']])
  }
})

test('clear forgets everything, and what comes after is stored again', async (t) => {
  const site = await startSite(t, declarePages)
  await assertForgets(site, () => site.cache.clear(), PAGES, PAGES)
  assertHit(await site.client.target('/a'))
})

test('wrong arguments of the client are refused with what is wrong about them', async (t) => {
  const { cache } = await startSite(t, () => {})
  const refused: [() => Promise<unknown>, RegExp][] = [
    [() => cache.invalidateTags('a' as never), /invalidateTags takes a list/],
    [() => cache.invalidateTags(['']), /must not be empty/],
    [
      () => cache.invalidateTags(['a'], { mode: 'hard' as never }),
      /'expire', 'soft' or 'purge', got 'hard'/,
    ],
    [() => cache.invalidateUrl(''), /invalidateUrl takes/],
    [() => cache.invalidateUrl(7 as never), /invalidateUrl takes/],
    [() => cache.invalidateRoute(''), /invalidateRoute takes/],
  ]
  for (const [call, message] of refused) {
    await assert.rejects(call, (error: Error & { code: string }) => {
      assert.equal(error.code, 'FST_RESPONSE_CACHE_INVALID_ARGUMENT')
      return message.test(error.message)
    })
  }
})
