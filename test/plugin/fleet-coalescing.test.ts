// Coalescing over several processes: one run for all, nobody waits in vain, and what may not be
// shared holds nobody up.
import assert from 'node:assert/strict'
import { Readable } from 'node:stream'
import { test } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'

import { assertHit, assertStored } from '../support/assert-status.ts'
import { type Answer, Door } from '../support/app.ts'
import { eventually, inTime } from '../support/clock.ts'
import { sharedRedis } from '../support/tiers.ts'
import { commandCalls } from '../store/command-calls.ts'
import { startFleet } from './fleet.ts'

const texts = (answers: readonly Answer[]): string[] => answers.map(({ text }) => text)

for (const [name, cache] of [
  ['with memory', {}],
  ['without memory', { memory: false }],
  ['strict', { consistency: 'strict' }],
] as const) {
  test(`requests to three processes make one handler run (${name})`, async (t) => {
    const fleet = await startFleet(t, { cache })
    const door = fleet.shut(t)
    const leader = fleet.get(0)
    await door.reached()
    const others = [fleet.get(0), fleet.get(1), fleet.get(1), fleet.get(2), fleet.get(2)]
    await fleet.waited(2)
    assert.equal(fleet.leases(), 1)
    door.open()
    assertStored(await leader)
    const answers = await Promise.all(others)
    for (const text of texts(answers)) assert.equal(text, 'run 1')
    for (const answer of answers.slice(1)) assertHit(answer)
    assert.equal(fleet.runs, 1)
    assert.equal(fleet.waiting(), 0)
    await eventually('nothing is held', () => fleet.leases() === 0)
    assert.deepEqual(fleet.failures(), {})
  })
}

test('without the option each process runs its own handler, and no lease is taken', async (t) => {
  const fleet = await startFleet(t, { route: { coalesce: true } })
  const door = fleet.shut(t)
  const answers = fleet.getAll()
  await door.reached(3)
  assert.equal(fleet.leases(), 0)
  door.open()
  assert.deepEqual(texts(await Promise.all(answers)).sort(), ['run 1', 'run 2', 'run 3'])
})

test('a fleet without Redis is one process', async (t) => {
  const fleet = await startFleet(t, { processes: 1, cache: { redis: undefined } as object })
  assert.equal(fleet.apps[0]!.cache.stats().fleet, undefined)
  assert.equal((await fleet.get(0)).text, 'run 1')
  assertHit(await fleet.get(0))
})

test('hits take no lease, be they from memory or from Redis', async (t) => {
  const raw = (await sharedRedis()).client()
  for (const cache of [{}, { memory: false }] as const) {
    const fleet = await startFleet(t, { cache })
    await fleet.get(0)
    await fleet.released()
    const calls = await commandCalls(raw, async () => {
      for (let n = 0; n < 5; n++) assertHit(await fleet.get(0))
    })
    assert.equal(calls['set'], undefined, JSON.stringify(calls))
  }
})

test('the lease has a ttl, and is gone when the answer is stored', async (t) => {
  const raw = (await sharedRedis()).client()
  const fleet = await startFleet(t)
  const door = fleet.shut(t)
  const leader = fleet.get(0)
  await door.reached()
  const [name, ...more] = await raw.keys(`${fleet.namespace}#l:*`)
  assert.deepEqual(more, [])
  assert.match(name!, /#l:r:[\w-]+$/)
  const ttl = await raw.pttl(name!)
  assert.ok(ttl > 0 && ttl <= 2000, `${ttl}`)
  door.open()
  await leader
  await eventually('gone', async () => (await raw.exists(name!)) === 0)
})

test('a handler that takes longer than the lease is waited for all the same', async (t) => {
  const fleet = await startFleet(t, { route: { coalesce: { fleet: true, maxWaitMs: 60_000 } } })
  const door = fleet.shut(t)
  const answers = fleet.getAll()
  await door.reached()
  await pause(2500)
  assert.equal(door.arrived, 1)
  assert.equal(fleet.waiting(), 2)
  door.open()
  for (const text of texts(await Promise.all(answers))) assert.equal(text, 'run 1')
})

test('nobody waits longer than maxWaitMs, and the lease of a handler that never ends runs out', async (t) => {
  const fleet = await startFleet(t, { route: { coalesce: { fleet: true, maxWaitMs: 300 } } })
  const door = fleet.shut(t)
  const answers = fleet.getAll()
  await door.reached(3)
  await fleet.released()
  door.open()
  assert.equal(new Set(texts(await Promise.all(answers))).size, 3)
})

test('an answer that may not be stored releases all at once, and for a moment nobody waits', async (t) => {
  const fleet = await startFleet(t, {
    answer: (run, _request, reply) => {
      reply.header('set-cookie', 'a=b')
      return `run ${run}`
    },
  })
  const door = fleet.shut(t)
  const leader = fleet.get(0)
  await door.reached()
  const others = [1, 1, 1, 2, 2, 2].map((at) => fleet.get(at))
  await fleet.waited(2)
  door.open()
  await leader
  const next = fleet.shut(t)
  // All of them run at the same time: none waits for the run of another.
  await next.reached(others.length - (door.arrived - 1))
  const late = [fleet.get(0), fleet.get(1), fleet.get(2)]
  await next.reached(others.length - (door.arrived - 1) + late.length)
  next.open()
  assert.equal(new Set(texts(await Promise.all([...others, ...late]))).size, 9)
})

test('after an invalidation during the run one of those who wait runs again, for all', async (t) => {
  const fleet = await startFleet(t)
  const first = fleet.shut(t)
  const leader = fleet.get(0)
  await first.reached()
  const early = fleet.get(1)
  await fleet.waited(1)
  await fleet.apps[2]!.cache.invalidateTags(['x'])
  const late = [fleet.get(1), fleet.get(2), fleet.get(2)]
  await fleet.waited(2)
  first.open()
  assert.equal((await leader).text, 'run 1')
  for (const text of texts(await Promise.all([early, ...late]))) assert.equal(text, 'run 2')
  assert.equal(fleet.runs, 2)
})

test('a process that arrives after an invalidation never takes what a process stored that lags', async (t) => {
  const fleet = await startFleet(t, { cache: { consistency: 'strict' } })
  for (let round = 0; round < 15; round++) {
    const before = fleet.runs
    const early = fleet.getAll()
    await pause(Math.random() * 5)
    await fleet.apps[round % 3]!.cache.invalidateTags(['x'])
    const least = fleet.runs
    const late = await Promise.all(fleet.getAll())
    for (const text of texts(late)) assert.ok(Number(text.slice(4)) >= least, `${text} ${least}`)
    await Promise.all(early)
    await fleet.apps[0]!.cache.invalidateTags(['x'])
    assert.ok(fleet.runs > before)
  }
})

test('a handler that throws makes each process run its own', async (t) => {
  const fleet = await startFleet(t, {
    answer: () => {
      throw new Error('no database')
    },
  })
  const door = fleet.shut(t)
  const answers = fleet.getAll()
  await door.reached()
  await fleet.waited(2)
  door.open()
  for (const { status } of await Promise.all(answers)) assert.equal(status, 500)
  assert.equal(fleet.runs, 3)
})

test('a reply that is taken over by its handler releases the others', async (t) => {
  const fleet = await startFleet(t, {
    answer: (run, _request, reply) => {
      reply.hijack()
      reply.raw.end(`hijacked ${run}`)
    },
  })
  const door = fleet.shut(t)
  const answers = fleet.getAll()
  await door.reached()
  await fleet.waited(2)
  door.open()
  assert.deepEqual(
    texts(await Promise.all(answers)).sort(),
    [1, 2, 3].map((n) => `hijacked ${n}`),
  )
})

test('the client who came first may leave: its run is for the others still', async (t) => {
  const fleet = await startFleet(t)
  const door = fleet.shut(t)
  const leaving = new AbortController()
  const gone = fleet.clients[0]!.send('GET', '/x', {
    headers: { host: 'shop.example' },
    signal: leaving.signal,
  })
  await door.reached()
  const others = [fleet.get(1), fleet.get(2)]
  await fleet.waited(2)
  leaving.abort()
  await assert.rejects(gone)
  door.open()
  for (const text of texts(await Promise.all(others))) assert.equal(text, 'run 1')
})

test('a run that ends with nothing, as its client has left, is taken over at once', async (t) => {
  let ended = false
  const fleet = await startFleet(t, {
    route: { coalesce: { fleet: true, maxWaitMs: 60_000 } },
    answer: async (run, request, reply) => {
      if (run > 1) return `run ${run}`
      await eventually('the client has left', () => request.raw.destroyed)
      ended = true
      return reply.hijack()
    },
  })
  const leaving = new AbortController()
  const gone = fleet.clients[0]!.send('GET', '/x', {
    headers: { host: 'shop.example' },
    signal: leaving.signal,
  })
  await eventually('it runs', () => fleet.runs === 1)
  const other = fleet.get(1)
  await fleet.waited(1)
  leaving.abort()
  await assert.rejects(gone)
  assert.equal((await inTime('taken over', other)).text, 'run 2')
  assert.equal(ended, true)
})

test('a stream is waited for until it is stored', async (t) => {
  const rest = new Door()
  t.after(() => rest.open())
  const fleet = await startFleet(t, {
    answer: (_run, _request, reply) =>
      reply.type('text/plain').send(
        Readable.from(
          (async function* () {
            yield 'first '
            await rest.pass()
            yield 'last'
          })(),
        ),
      ),
  })
  const answers = fleet.getAll()
  await rest.reached()
  await fleet.waited(2)
  rest.open()
  for (const text of texts(await Promise.all(answers))) assert.equal(text, 'first last')
  assert.equal(fleet.runs, 1)
})

test('variants: each is made once, also while nobody knows that there are any', async (t) => {
  const fleet = await startFleet(t, {
    answer: (_run, { headers }, reply) => {
      reply.header('vary', 'accept-language')
      return `in ${headers['accept-language']}`
    },
  })
  const door = fleet.shut(t)
  const languages = ['de', 'en', 'de', 'en', 'de', 'en']
  const answers = languages.map((language, n) => fleet.get(n % 3, { 'accept-language': language }))
  await door.reached()
  await fleet.waited(2)
  door.open()
  const pages = texts(await Promise.all(answers))
  for (const [n, page] of pages.entries()) assert.equal(page, `in ${languages[n]}`)
  assert.equal(fleet.runs, 2)
})

test('app.close() with requests that wait ends in bounded time, and they are answered', async (t) => {
  const fleet = await startFleet(t, { route: { coalesce: { fleet: true, maxWaitMs: 500 } } })
  const door = fleet.shut(t)
  const leader = fleet.get(0)
  await door.reached()
  const other = fleet.get(1)
  await fleet.waited(1)
  const closing = fleet.apps[1]!.close()
  await door.reached(2)
  door.open()
  assert.equal((await inTime('answered', other)).text, 'run 2')
  await inTime('closed', closing)
  assert.equal((await leader).text, 'run 1')
})

test('a cache that is closed lets go of its lease, and of those who wait', async (t) => {
  const fleet = await startFleet(t, { route: { coalesce: { fleet: true, maxWaitMs: 60_000 } } })
  const door = fleet.shut(t)
  const leader = fleet.get(0)
  await door.reached()
  const others = [fleet.get(1), fleet.get(2)]
  await fleet.waited(2)
  await inTime('closed', fleet.apps[1]!.cache.close())
  await door.reached(2)
  await inTime('closed', fleet.apps[0]!.cache.close())
  // The last of them takes over.
  await door.reached(3)
  const late = fleet.get(0)
  await door.reached(4)
  door.open()
  const answers = texts(await Promise.all([leader, ...others, late]))
  assert.deepEqual(answers.sort(), ['run 1', 'run 2', 'run 3', 'run 4'])
})
