// The query in the key: filters, what hooks make of it, and the memory for targets seen before.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import type { RouteCacheOptions } from '../../src/index.ts'
import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, start } from '../support/app.ts'

async function startFiltered(
  t: TestContext,
  query: NonNullable<RouteCacheOptions['vary']>['query'],
): Promise<Client> {
  return start(t, (app) => {
    app.get(
      '/a',
      { config: { cache: { ttl: '1h', vary: { query: query! } } } },
      async (request) => request.query,
    )
  })
}

test('vary.query.ignore leaves names, and prefixes written with a star, out of the key', async (t) => {
  const client = await startFiltered(t, { ignore: ['utm_*', 'fbclid'] })
  assertStored(await client.target('/a?page=1'))
  for (const target of [
    '/a?page=1&utm_source=x',
    '/a?utm_source=y&page=1&fbclid=1',
    '/a?utm_=&page=1',
    '/a?%75tm_source=x&page=1',
    '/a?page=1&fbclid=2&fbclid=3',
  ]) {
    assertHit(await client.target(target))
  }
  for (const target of [
    '/a?page=1&utm=x',
    '/a?page=1&fbclid2=x',
    '/a?page=1&UTM_source=x',
    '/a?page=2',
    '/a',
  ]) {
    assertStored(await client.target(target))
  }
  assertHit(await client.target('/a?utm_campaign=x'))
})

test('vary.query.only keeps only what it names in the key', async (t) => {
  const client = await startFiltered(t, { only: ['page', 'filter*'] })
  assertStored(await client.target('/a?page=1'))
  for (const target of ['/a?page=1&x=1', '/a?x=1&page=1&y', '/a?pag=1&page=1']) {
    assertHit(await client.target(target))
  }
  for (const target of [
    '/a?page=2',
    '/a?page=1&filter=a',
    '/a?page=1&filters=a',
    '/a?page=',
    '/a?page',
    '/a',
  ]) {
    const answer = await client.target(target)
    if (target !== '/a?page') assertStored(answer)
  }
  assertHit(await client.target('/a?other=1'))
})

test('an empty list in vary.query.only leaves the whole query out of the key', async (t) => {
  const client = await start(t, (app) => {
    app.get('/a', { config: { cache: { vary: { query: { only: [] } } } } }, async () => 'page')
  })
  assertStored(await client.target('/a?x=1'))
  assertHit(await client.target('/a?y=2'))
  assertHit(await client.target('/a'))
})

// Regression: once a target was remembered, only its text counted.
test('what an early hook makes of the query counts on the first request and on every later', async (t) => {
  const client = await start(t, (app) => {
    app.addHook('onRequest', async (request) => {
      // As applications do that take the language from a field when the query names none.
      const query = request.query as Record<string, unknown>
      query['lang'] ??= request.headers['accept-language']
    })
    for (const path of ['/a', '/b']) {
      app.get(
        path,
        { config: { cache: true } },
        async (request) => `in ${(request.query as { lang: string }).lang}`,
      )
    }
  })
  for (const target of ['/a', '/b?page=1']) {
    for (const round of ['cold', 'warm', 'hot']) {
      for (const language of ['de', 'en']) {
        const answer = await client.get(target, { 'accept-language': language })
        assert.equal(answer.text, `in ${language}`, `${target}, ${round}`)
      }
    }
  }
})

test('an early hook that takes parameters out of the query makes those targets one', async (t) => {
  const client = await start(t, (app) => {
    app.addHook('onRequest', async (request) => {
      delete (request.query as Record<string, unknown>)['session']
    })
    app.get('/a', { config: { cache: true } }, async (request) => request.query)
  })
  assertStored(await client.target('/a?x=1&session=1'))
  assertHit(await client.target('/a?x=1&session=2'))
  assertHit(await client.target('/a?x=1'))
})

test('a route with vary and one without keep the answers that belong to them', async (t) => {
  const client = await start(t, (app) => {
    app.get(
      '/:name/varied',
      { config: { cache: { vary: { headers: ['x-a', 'x-b'] } } } },
      async (request) => {
        const { 'x-a': a, 'x-b': b } = request.headers
        return JSON.stringify([a, b])
      },
    )
  })
  const requests: [Record<string, string>, string][] = [
    [{}, '[null,null]'],
    [{ 'x-a': '1' }, '["1",null]'],
    [{ 'x-b': '1' }, '[null,"1"]'],
    [{ 'x-a': '1', 'x-b': '1' }, '["1","1"]'],
    [{ 'x-a': '', 'x-b': '11' }, '["","11"]'],
    [{ 'x-a': '11', 'x-b': '' }, '["11",""]'],
    [{ 'x-a': '1,1' }, '["1,1",null]'],
  ]
  for (const assertAs of [assertStored, assertHit, assertHit]) {
    for (const [headers, text] of requests) {
      const answer = await client.get('/x/varied', headers)
      assert.equal(answer.text, text)
      assertAs(answer)
    }
  }
})

test('more targets than are remembered are still told apart', async (t) => {
  const client = await start(t, (app) => {
    app.get('/n/:n', { config: { cache: true } }, async (request) => request.params)
  })
  const agents = 8
  const total = 4800
  for (let round = 0; round < 2; round++) {
    await Promise.all(
      Array.from({ length: agents }, async (_, agent) => {
        for (let n = agent; n < total; n += agents) {
          const { text } = await client.get(`/n/${n}`, { host: `host-${n % 20}` })
          assert.equal(text, `{"n":"${n}"}`)
        }
      }),
    )
  }
})

test('many hosts of one path are still told apart', async (t) => {
  const client = await start(t, (app) => {
    app.get('/host', { config: { cache: true } }, async (request) => request.host)
  })
  for (let round = 0; round < 3; round++) {
    for (let n = 0; n < 40; n++) {
      const host = `host-${n}.example`
      const answer = await client.get('/host', { host })
      assert.equal(answer.text, host)
      if (round > 0) assertHit(answer)
    }
  }
})

test('a target longer than those that are remembered is answered from the cache all the same', async (t) => {
  const client = await start(t, (app) => {
    app.get('/a', { config: { cache: true } }, async (request) => request.url.slice(-20))
  })
  for (const end of ['one', 'two']) {
    const target = `/a?x=${'y'.repeat(10_000)}${end}`
    const miss = await client.target(target)
    assertStored(miss)
    for (let visit = 0; visit < 2; visit++) {
      const hit = await client.target(target)
      assertHit(hit)
      assert.equal(hit.text, miss.text)
    }
  }
})
