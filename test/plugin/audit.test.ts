// The staleness audit: hits are computed once more, and a write that forgot a tag is found.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'

import { isRefresh } from '../../src/index.ts'
import { Door, openDoor } from '../support/app.ts'
import { assertHit } from '../support/assert-status.ts'
import { eventually, inTime } from '../support/clock.ts'
import { onEachTier } from '../support/tiers.ts'
import { EAGER, startShop } from './audit.ts'

onEachTier('a write that forgets a tag is found, and named', async (t, cache) => {
  const shop = await startShop(t, { cache })
  await shop.until('hits are compared', ({ same }) => same > 0)
  assert.deepEqual(shop.audit.findings, [])
  await shop.write('/products/2')
  await shop.write('/stock/1')
  const { findings, checked, same, different } = await shop.until(
    'it is found',
    (audit) => audit.different > 0,
  )
  assert.equal(checked, same + different)
  const [finding, ...others] = findings
  assert.equal(others.length, 0)
  assert.equal(finding?.route, '/products/:id')
  assert.equal(finding?.path, '/products/1')
  assert.deepEqual(finding?.tags, ['product:1'])
  assert.deepEqual(finding?.differs, { pointers: ['/stock'] })
  assert.ok(finding.age >= 0 && finding.at >= finding.firstAt)
  // Of those whose paths have as much in common, the newest first.
  const writes = finding.recentWrites.map(({ method, route, path, tags }) => {
    return [method, route, path, tags.join()]
  })
  assert.deepEqual(writes, [
    ['PATCH', '/stock/:id', '/stock/1', 'stock'],
    ['PATCH', '/products/:id', '/products/2', 'product:2,path /products/2'],
  ])
  assert.equal(shop.lines.length, 1, shop.lines.join('\n'))
  assert.match(
    shop.lines[0]!,
    /^\/products\/:id: a hit differs from what the handler answers: body at \/stock; \/products\/1 was stored \d+ s ago with the tags product:1, and the likeliest write since: PATCH \/stock\/:id, of stock$/,
  )
  // The client still gets what is stored.
  assert.equal((await shop.client.get('/products/1')).text, '{"id":"1","price":10,"stock":5}')
})

test('the same place of the same route is one finding, and one line in the log', async (t) => {
  const shop = await startShop(t)
  for (const id of ['1', '2']) {
    await shop.client.get(`/products/${id}`)
    await shop.write(`/stock/${id}`)
  }
  await shop.until('the first is found', ({ different }) => different > 0)
  const before = shop.audit.different
  const { findings } = await shop.until(
    'the second is found',
    ({ different }) => different > before + 1,
    '/products/2',
  )
  assert.equal(findings.length, 1)
  assert.equal(findings[0]!.path, '/products/2')
  assert.equal(findings[0]!.count, shop.audit.different)
  assert.equal(shop.lines.length, 1)
})

test('what app.cache invalidates for a request is told of its write', async (t) => {
  const shop = await startShop(t, {
    build: (app, goods) => {
      app.post('/import', { config: { cache: false } }, async () => {
        goods.get('1')!.price = 99
        await app.cache.invalidateTags(['import'])
        await app.cache.set('last-import', Date.now(), { ttl: 60 })
        return { done: true }
      })
    },
  })
  await shop.client.get('/products/1')
  const body = '{"file":"goods.csv"}'
  const headers = { 'content-type': 'application/json' }
  const answer = await shop.client.send('POST', '/import', { body, headers })
  assert.equal(answer.status, 200)
  const { findings } = await shop.until('it is found', ({ different }) => different > 0)
  const [write] = findings[0]!.recentWrites
  assert.equal(write?.route, '/import')
  assert.ok(write.tags.includes('import'), write.tags.join())
})

test('a write that failed is no write', async (t) => {
  const shop = await startShop(t, {
    build: (app, goods) => {
      app.delete('/all', async (_request, reply) => {
        goods.get('1')!.price = 99
        return reply.code(409).send({})
      })
    },
  })
  await shop.client.get('/products/1')
  await shop.write('/all', 'DELETE')
  const { findings } = await shop.until('it is found', ({ different }) => different > 0)
  assert.deepEqual(findings[0]!.recentWrites, [])
  assert.match(shop.lines[0]!, /this process has answered no write since$/)
})

test('something that is gone is a difference of status', async (t) => {
  const shop = await startShop(t)
  await shop.client.get('/products/1')
  shop.goods.delete('1')
  const { findings } = await shop.until('it is found', ({ different }) => different > 0)
  assert.deepEqual(findings[0]!.differs, { status: { served: 200, now: 404 } })
  assert.match(shop.lines[0]!, /status 200, now 404/)
})

test('fields and bodies of other formats are compared, streamed ones too', async (t) => {
  let version = 1
  const shop = await startShop(t, {
    build: (app) => {
      app.get('/page', { config: { cache: { ttl: '1h' } } }, async (_request, reply) => {
        reply.header('x-version', `v${version}`).type('text/html')
        return Readable.from([`<p>Version `, `${version}</p>`])
      })
    },
  })
  await shop.until('it is compared', ({ same }) => same > 0, '/page')
  version = 2
  const { findings } = await shop.until('it is found', ({ different }) => different > 0, '/page')
  assert.deepEqual(findings[0]!.differs, { fields: ['x-version'], offset: 11 })
  assert.deepEqual(findings[0]!.tags, [])
})

test('what changes from one run to the next is no finding, nor what may differ', async (t) => {
  let runs = 0
  const answer = async (): Promise<object> => ({ at: ++runs, items: [{ at: ++runs }] })
  const build = (app: Parameters<NonNullable<Parameters<typeof startShop>[1]>['build'] & {}>[0]) =>
    app.get('/now', { config: { cache: { ttl: '1h' } } }, answer)
  const shop = await startShop(t, { build })
  await shop.until('it is unsteady', ({ skipped }) => (skipped.unsteady ?? 0) > 0, '/now')
  const ignore = { pointers: ['/at', '/items/*/at'] }
  const other = await startShop(t, { build, audit: { ...EAGER, ignore } })
  await other.until('it is the same', ({ same }) => same > 0, '/now')
  for (const { audit } of [shop, other]) assert.deepEqual(audit.findings, [])
})

test('an audit is no request: nothing is counted, stored or told', async (t) => {
  let seen = 0
  const shop = await startShop(t, {
    build: (app) => {
      app.addHook('onRequest', async (request) => {
        if (!isRefresh(request)) return
        seen++
        assert.equal(request.headers['user-agent'], undefined)
      })
      app.get('/hooked', { config: { cache: { ttl: '1h' } } }, async () => ({ run: seen }))
    },
  })
  await shop.client.get('/hooked')
  let asked = 1
  await eventually('some are seen', async () => {
    asked++
    assertHit(await shop.client.get('/hooked'))
    return seen > 2
  })
  const { hits, misses, stored, notStored, bypassed, collapsed } = shop.app.cache.stats()
  assert.deepEqual([hits, misses, stored], [asked - 1, 1, 1])
  assert.deepEqual([notStored, bypassed, collapsed], [0, 0, 0])
  assert.equal((await shop.client.get('/hooked')).text, '{"run":0}')
})

test('variants are compared with themselves', async (t) => {
  let greeting = 'Hello'
  const shop = await startShop(t, {
    build: (app) => {
      app.get('/hello', { config: { cache: { ttl: '1h' } } }, async (request, reply) => {
        reply.header('vary', 'accept-language')
        return request.headers['accept-language'] === 'de' ? 'Hallo' : greeting
      })
    },
  })
  for (const language of ['de', 'en']) {
    await shop.client.get('/hello', { 'accept-language': language })
  }
  const ask = async (language: string, isDone: () => boolean): Promise<void> => {
    await eventually(`${language} is compared`, async () => {
      await shop.client.get('/hello', { 'accept-language': language })
      return isDone()
    })
  }
  await ask('de', () => shop.audit.same > 0)
  greeting = 'Good day'
  await ask('de', () => shop.audit.same > 2)
  await ask('en', () => shop.audit.different > 0)
  assert.deepEqual(shop.audit.findings[0]!.differs, { offset: 0 })
})

test('what the background cannot ask for is left alone', async (t) => {
  const shop = await startShop(t, {
    build: (app) => {
      const options = { vary: { by: () => 'ada' } }
      app.get('/mine', { config: { cache: { ttl: '1h', ...options } } }, async () => Math.random())
      app.get('/dear', { config: { cache: { ttl: '1h', audit: false } } }, async () => 'dear')
      app.get('/all', { config: { cache: { ttl: '1h', public: true } } }, async () => 'all')
    },
  })
  for (let n = 0; n < 3; n++) {
    for (const path of ['/mine', '/dear']) await shop.client.get(path)
    await shop.client.get('/all', { authorization: 'Bearer abc' })
    await shop.client.head('/all')
  }
  const { checked, failed, skipped } = shop.audit
  assert.deepEqual([checked, failed, skipped], [0, 0, { identity: 2 }])
})

test('a handler that fails, or a hook that refuses, says nothing', async (t) => {
  let isUp = true
  const shop = await startShop(t, {
    build: (app) => {
      app.get('/up', { config: { cache: { ttl: '1h' } } }, async () => {
        if (!isUp) throw new Error('the database is away')
        return 'up'
      })
      const onRequest = async (request: object): Promise<void> => {
        if (isRefresh(request)) throw Object.assign(new Error('not you'), { statusCode: 403 })
      }
      app.get('/guarded', { config: { cache: { ttl: '1h' } }, onRequest }, async () => 'in')
      const bypass = (request: object): boolean => isRefresh(request)
      app.get('/around', { config: { cache: { ttl: '1h', bypass } } }, async () => 'in')
      const skip = { storable: (request: object) => !isRefresh(request) }
      app.get('/kept', { config: { cache: { ttl: '1h', ...skip } } }, async () => 'in')
    },
  })
  await shop.client.get('/up')
  isUp = false
  await shop.until('the first failed', ({ failed }) => failed > 0, '/up')
  const before = shop.audit.failed
  await shop.until('the second failed', ({ failed }) => failed > before, '/guarded')
  await shop.until('the third went around', ({ skipped }) => skipped.identity === 1, '/around')
  await shop.until('the fourth', ({ skipped }) => skipped['not-stored'] === 1, '/kept')
  assert.equal(shop.audit.checked, 0)
  assert.equal(shop.app.cache.stats().bypassed, 0)
})

test('one runs at a time, and only so many begin in a second', async (t) => {
  const shop = await startShop(t, { audit: { ...EAGER, maxPerSecond: 0.001 } })
  await shop.until('the first is over', ({ checked }) => checked === 1)
  await shop.until('it is too early', ({ skipped }) => (skipped.rate ?? 0) > 5)
  assert.equal(shop.audit.checked, 1)
  let gate = openDoor()
  const slow = await startShop(t, {
    build: (app) => {
      app.get('/slow', { config: { cache: { ttl: '1h' } } }, async () => {
        await gate.pass()
        return 'slow'
      })
    },
  })
  await slow.client.get('/slow')
  gate = new Door()
  t.after(() => gate.open())
  await slow.until('one is there', () => gate.arrived > 0, '/slow')
  await slow.until('others are refused', ({ skipped }) => (skipped.rate ?? 0) > 5, '/slow')
  assert.equal(gate.arrived, 1)
  gate.open()
  await eventually('it is over', () => slow.audit.same === 1)
})

test('closing waits for no audit', async (t) => {
  let door = openDoor()
  const build = (app: Awaited<ReturnType<typeof startShop>>['app']): void => {
    app.get('/slow', { config: { cache: { ttl: '1h' } } }, async () => {
      await door.pass()
      return 'slow'
    })
  }
  const shop = await startShop(t, { build })
  await shop.client.get('/slow')
  door = new Door()
  t.after(() => door.open())
  await shop.until('one is there', () => door.arrived > 0, '/slow')
  await inTime('closed while a handler runs for an audit', shop.app.close())
  assert.equal(shop.audit.checked + shop.audit.failed, 0)

  const other = await startShop(t, { audit: { ...EAGER, recheckMs: 1_000_000 } })
  await other.client.get('/products/1')
  other.goods.get('1')!.price = 11
  await other.until('it waits for the second look', ({ skipped }) => (skipped.rate ?? 0) > 5)
  await inTime('closed before the second look', other.app.close())
  assert.equal(other.audit.checked, 0)
})
