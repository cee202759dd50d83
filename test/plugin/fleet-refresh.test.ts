// Stale responses over several processes: one of them refreshes, the others go on serving.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { TestContext } from 'node:test'

import { type RouteCacheOptions, isRefresh } from '../../src/index.ts'
import { statusOf } from '../support/assert-status.ts'
import { type Answer, Door, openDoor } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { commandCalls } from '../store/command-calls.ts'
import { sharedRedis } from '../support/tiers.ts'
import { type FleetOptions, type FleetScene, startFleet } from './fleet.ts'

const ROUTE: RouteCacheOptions = {
  ttl: 10,
  staleWhileRevalidate: '1h',
  coalesce: { fleet: true, maxWaitMs: 60_000 },
}

/** All processes have `run 1`, stale. */
async function startStale(t: TestContext, options: FleetOptions = {}): Promise<FleetScene> {
  t.mock.timers.enable({ apis: ['Date'], now: 1_700_000_000_000 })
  const fleet = await startFleet(t, { ...options, route: { ...ROUTE, ...options.route } })
  for (const at of fleet.clients.keys()) assert.equal((await fleet.get(at)).text, 'run 1')
  await fleet.released()
  t.mock.timers.tick(11_000)
  return fleet
}

function assertStale(answer: Answer, text: string): void {
  assert.equal(answer.text, text)
  const { hit, ttl } = statusOf(answer)
  assert.ok(hit && ttl! < 0, String(answer.headers['cache-status']))
}

for (const [name, cache] of [
  ['with memory', {}],
  ['without memory', { memory: false }],
  ['strict', { consistency: 'strict' }],
] as const) {
  test(`a stale response that three processes serve at once is refreshed once (${name})`, async (t) => {
    const fleet = await startStale(t, { cache })
    const door = fleet.shut(t)
    const answers = await Promise.all([...fleet.getAll(), ...fleet.getAll()])
    for (const answer of answers) assertStale(answer, 'run 1')
    await door.reached()
    for (const answer of await Promise.all(fleet.getAll())) assertStale(answer, 'run 1')
    assert.equal(fleet.leases(), 1)
    door.open()
    await fleet.released()
    assert.equal(fleet.runs, 2)
    // Memory asks Redis again within a second of its own clock.
    t.mock.timers.tick(1000)
    for (const { text } of await Promise.all(fleet.getAll())) assert.equal(text, 'run 2')
    assert.equal(fleet.runs, 2)
    assert.deepEqual(fleet.failures(), {})
  })
}

test('without the option each process refreshes', async (t) => {
  const fleet = await startStale(t, { route: { coalesce: true } })
  fleet.runs = 1
  const door = fleet.shut(t)
  await Promise.all(fleet.getAll())
  await door.reached(3)
  door.open()
})

test('a process that has left a refresh to another asks for nothing for a moment', async (t) => {
  const raw = (await sharedRedis()).client()
  const fleet = await startStale(t, { processes: 2 })
  const door = fleet.shut(t)
  assertStale(await fleet.get(0), 'run 1')
  await door.reached()
  assertStale(await fleet.get(1), 'run 1')
  const { fleet: state } = fleet.apps[1]!.cache.stats()
  assert.deepEqual(state, { leases: 0, waiting: 0 })
  await raw.ping()
  const calls = await commandCalls(raw, async () => {
    for (let n = 0; n < 5; n++) assertStale(await fleet.get(1), 'run 1')
  })
  // Of its first stale hit the attempt may still have been on its way.
  assert.ok((calls['set'] ?? 0) <= 1, JSON.stringify(calls))
  door.open()
})

test('a refresh that failed in one process is not repeated by the others at once', async (t) => {
  let isBroken = true
  const fleet = await startStale(t, {
    answer: (run, request, reply) => {
      if (isBroken && isRefresh(request)) return reply.code(503).send('no')
      return `run ${run}`
    },
  })
  assertStale(await fleet.get(0), 'run 1')
  await eventually('failed', () => fleet.failures()['refresh'] === 1 || fleet.runs > 1)
  const raw = (await sharedRedis()).client()
  await eventually('marked', async () => {
    const [name] = await raw.keys(`${fleet.namespace}#l:*`)
    return name !== undefined && !(await raw.get(name))!.startsWith('t:')
  })
  for (const answer of await Promise.all(fleet.getAll())) assertStale(answer, 'run 1')
  assert.equal(fleet.runs, 2)
  isBroken = false
  // Later another one tries.
  await eventually('refreshed', async () => {
    t.mock.timers.tick(100)
    const answers = await Promise.all(fleet.getAll())
    return answers.every(({ text }) => text !== 'run 1')
  })
})

test('what only a request can refresh is refreshed by one process, and nobody waits', async (t) => {
  const fleet = await startStale(t, { route: { vary: { by: () => 'one' } } })
  const door = fleet.shut(t)
  const first = fleet.get(0)
  await door.reached()
  // By the lease, by what is remembered of it, and by the flight in the same process.
  for (const at of [1, 2, 1, 2, 0]) assertStale(await fleet.get(at), 'run 1')
  assert.equal(fleet.waiting(), 0)
  door.open()
  assert.equal((await first).text, 'run 2')
  await fleet.released()
  t.mock.timers.tick(1000)
  for (const { text } of await Promise.all(fleet.getAll())) assert.equal(text, 'run 2')
  assert.equal(fleet.runs, 2)
})

for (const [name, vary] of [
  ['in the background', {}],
  ['by a request', { by: () => 'one' }],
] as const) {
  test(`what another process has refreshed meanwhile is not refreshed again (${name})`, async (t) => {
    const fleet = await startStale(t, { processes: 2, route: { vary } })
    const door = fleet.shut(t)
    const refreshing = fleet.get(0)
    await door.reached()
    assertStale(await fleet.get(1), 'run 1')
    door.open()
    await refreshing
    await fleet.released()
    // The clock stands still, so memory does not ask Redis again: what asks is the next refresh.
    await eventually('found', async () => (await fleet.get(1)).text === 'run 2')
    assert.equal(fleet.runs, 2)
  })
}

test('after an invalidation the refresh is waited for, and runs again where it was overtaken', async (t) => {
  const fleet = await startStale(t)
  const door = fleet.shut(t)
  assertStale(await fleet.get(0), 'run 1')
  await door.reached()
  await fleet.apps[1]!.cache.invalidateTags(['x'])
  const answers = [fleet.get(1), fleet.get(2)]
  await fleet.waited(2)
  door.open()
  for (const { text } of await Promise.all(answers)) assert.equal(text, 'run 3')
  assert.equal(fleet.runs, 3)
})

test('a refresh gives its lease to a request of its own process that waits for it', async (t) => {
  let gate: Door = openDoor()
  const fleet = await startStale(t, {
    processes: 2,
    build: (app) =>
      app.addHook('preHandler', async (request) => {
        if (isRefresh(request)) await gate.pass()
      }),
  })
  gate = new Door()
  assertStale(await fleet.get(0), 'run 1')
  await gate.reached()
  await fleet.apps[0]!.cache.invalidateTags(['x'])
  const own = fleet.get(0)
  await fleet.waited(1)
  gate.open()
  assert.equal((await own).text, 'run 2')
  await fleet.released()
  assert.equal(fleet.runs, 2)
})

test('a refresh that is refused before the handler gives its lease back', async (t) => {
  let refuses = false
  const fleet = await startStale(t, {
    processes: 1,
    build: (app) =>
      app.addHook('onRequest', async (request, reply) => {
        if (refuses && isRefresh(request)) return reply.code(429).send('later')
      }),
  })
  refuses = true
  assertStale(await fleet.get(0), 'run 1')
  await eventually('failed', () => fleet.failures()['refresh'] === 1)
  assert.equal(fleet.leases(), 0)
})

test('a lease that cannot be read is as none: each process refreshes and runs by itself', async (t) => {
  const raw = (await sharedRedis()).client()
  const fleet = await startStale(t, { processes: 2 })
  const [entry] = await raw.keys(`${fleet.namespace}#r:*`)
  const lease = entry!.replace('#r:', '#l:r:')
  const spoil = [
    () => raw.hset(lease, 'not', 'a lease'),
    () => raw.set(lease, 'neither token nor mark'),
  ]
  for (const [n, make] of spoil.entries()) {
    await raw.del(lease)
    await make()
    await fleet.apps[0]!.cache.invalidateTags(['x'])
    fleet.runs = 0
    const door = fleet.shut(t)
    const answers = fleet.getAll()
    await door.reached(2)
    door.open()
    await Promise.all(answers)
    assert.equal(fleet.runs, 2, `${n}`)
  }
  await raw.del(lease)
  await raw.hset(lease, 'not', 'a lease')
  t.mock.timers.tick(11_000)
  const door = fleet.shut(t)
  await Promise.all(fleet.getAll())
  await door.reached(2)
  door.open()
})

test('a failure for which a stale response stands in makes each process run once, and no more', async (t) => {
  let isBroken = false
  const fleet = await startStale(t, {
    route: { staleIfError: '1h', staleWhileRevalidate: 1 },
    answer: (run) => {
      if (isBroken) throw new Error('no database')
      return `run ${run}`
    },
  })
  isBroken = true
  const door = fleet.shut(t)
  const answers = [...fleet.getAll(), ...fleet.getAll()]
  await door.reached()
  await fleet.waited(2)
  door.open()
  for (const answer of await Promise.all(answers)) {
    assert.equal(answer.text, 'run 1')
    assert.equal(statusOf(answer).detail, 'stale-if-error')
  }
  assert.equal(fleet.runs, 1 + 3)
})

test('a client that demands a run of its own neither waits for other processes nor is waited for', async (t) => {
  const fleet = await startStale(t, { route: { requestDirectives: true, ttl: 60 } })
  const door = fleet.shut(t)
  const demanding = [0, 1, 2].map((at) => fleet.get(at, { 'cache-control': 'no-cache' }))
  await door.reached(3)
  assert.equal(fleet.leases(), 0)
  door.open()
  for (const answer of await Promise.all(demanding)) assert.equal(statusOf(answer).fwd, 'request')
})
