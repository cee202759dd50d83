// What is invalidated as it should be is never found, however writes and audits run into each other.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { Door, openDoor } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { onEachTier, overRedis } from '../support/tiers.ts'
import { EAGER, type Good, type Shop, type ShopOptions, startShop } from './audit.ts'

function assertNothingFound({ audit, lines }: Shop): void {
  assert.deepEqual(audit.findings, [])
  assert.equal(audit.different, 0)
  assert.deepEqual(lines, [])
}

const overtaken = (shop: Shop): number => shop.audit.skipped.overtaken ?? 0

onEachTier('correct writes while audits run are never found', async (t, cache) => {
  const random = (): Promise<void> => pause(Math.random() * 4)
  let writes = 0
  const shop = await startShop(t, {
    cache,
    build: (app, goods) => {
      app.get<{ Params: { id: string } }>(
        '/slow/:id',
        { config: { cache: { ttl: '1h', tags: ({ params }) => [`product:${params.id}`] } } },
        async ({ params: { id } }) => {
          await random()
          const good = { ...goods.get(id) }
          await random()
          return good
        },
      )
      app.put<{ Params: { id: string } }>(
        '/slow/:id',
        { config: { cache: { invalidates: ({ params }) => [`product:${params.id}`] } } },
        async ({ params: { id } }) => {
          await random()
          goods.set(id, { price: ++writes, stock: writes })
          // Everybody sees it already, and nobody has been told.
          await random()
          return { done: true }
        },
      )
    },
  })
  let isOver = false
  const keep = async (doing: () => Promise<unknown>): Promise<void> => {
    while (!isOver) await doing()
  }
  const some = (): string => `/slow/${1 + Math.floor(Math.random() * 3)}`
  const work = [
    ...Array.from({ length: 4 }, () =>
      keep(async () => {
        await shop.client.get(some())
        // An event loop that is never idle has no time for audits.
        await pause(5)
      }),
    ),
    keep(async () => {
      await shop.client.send('PUT', some())
      await pause(Math.random() * 20)
    }),
  ]
  try {
    await eventually('audits were overtaken, and others not', () => {
      return shop.audit.same > 20 && writes > 20 && overtaken(shop) > 0
    })
  } finally {
    isOver = true
    await Promise.all(work)
  }
  assertNothingFound(shop)
})

test('a write that is done and has not told yet is no finding', async (t) => {
  let gate = openDoor()
  const shop = await startShop(t, {
    build: (app, goods) => {
      app.put('/prices', { config: { cache: { invalidates: ['product:1'] } } }, async () => {
        goods.get('1')!.price = 77
        await gate.pass()
        return { done: true }
      })
    },
  })
  await shop.until('it is compared', ({ same }) => same > 0)
  gate = new Door()
  t.after(() => gate.open())
  const writing = shop.write('/prices', 'PUT')
  await gate.reached()
  await shop.until('the audit gives way', () => overtaken(shop) > 0)
  assertNothingFound(shop)
  gate.open()
  await writing
  assert.match((await shop.client.get('/products/1')).text, /77/)
  assertNothingFound(shop)
})

test('an invalidation of another process is known before a difference counts', async (t) => {
  const goods = new Map<string, Good>()
  let gate = openDoor()
  const cache = await overRedis()
  const shop = await startShop(t, {
    cache,
    goods,
    build: (app) => {
      app.get('/report', { config: { cache: { ttl: '1h', tags: ['product:1'] } } }, async () => {
        await gate.pass()
        return { ...goods.get('1') }
      })
    },
  })
  const other = await startShop(t, { cache, goods, audit: false })
  const host = { host: 'shop.example' }
  await shop.client.get('/report', host)
  gate = new Door()
  t.after(() => gate.open())
  await eventually('an audit is at the door', async () => {
    await shop.client.get('/report', host)
    return gate.arrived > 0
  })
  await other.write('/products/1')
  gate.open()
  await eventually('the audit gives way', () => overtaken(shop) === 1)
  assertNothingFound(shop)
})

/** An audit whose run of the handler waits, while what the handler answers is another already. */
async function auditAtDoor(t: TestContext, options: ShopOptions): Promise<[Shop, Door]> {
  let gate = openDoor()
  const shop = await startShop(t, {
    ...options,
    build: (app, goods) => {
      const cache = { ttl: '1h', tags: ['report'], requestDirectives: true }
      app.get('/report', { config: { cache } }, async () => {
        await gate.pass()
        return { ...goods.get('1') }
      })
    },
  })
  await shop.client.get('/report')
  const door = new Door()
  gate = door
  t.after(() => door.open())
  await shop.until('an audit is at the door', () => door.arrived > 0, '/report')
  gate = openDoor()
  shop.goods.get('1')!.price = 11
  return [shop, door]
}

test('what was invalidated and stored again meanwhile is no finding', async (t) => {
  const [shop, door] = await auditAtDoor(t, {})
  await shop.app.cache.invalidateTags(['report'])
  await shop.client.get('/report')
  door.open()
  await eventually('the audit gives way', () => overtaken(shop) === 1)
  assertNothingFound(shop)
})

test('what a job invalidates between the two looks is no finding', async (t) => {
  const [shop, door] = await auditAtDoor(t, { audit: { ...EAGER, recheckMs: 1000 } })
  door.open()
  // The first run is over by then. Where it is not, the audit gives way for another reason.
  await pause(100)
  await shop.app.cache.invalidateTags(['report'])
  await eventually('the audit gives way', () => overtaken(shop) === 1)
  assertNothingFound(shop)
})

test('what was replaced meanwhile is no finding', async (t) => {
  const [shop, door] = await auditAtDoor(t, {})
  const answer = await shop.client.get('/report', { 'cache-control': 'no-cache' })
  assert.match(answer.text, /11/)
  door.open()
  await eventually('the audit gives way', () => overtaken(shop) === 1)
  assertNothingFound(shop)
})

test('what Redis cannot confirm is no finding', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const cache = { redis: redis.url, namespace: 'audited', deadlineMs: 1000 }
  const [shop, door] = await auditAtDoor(t, { cache })
  await redis.stop()
  door.open()
  await eventually('the audit gives way', () => shop.audit.skipped.unverified === 1)
  assert.deepEqual(shop.audit.findings, [])
})
