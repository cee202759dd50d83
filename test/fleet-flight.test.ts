import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setTimeout as pause } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import { type Contest, FleetFlights } from '../src/fleet-flight.ts'
import type { FleetLease } from '../src/fleet-lease.ts'
import { RedisGuard } from '../src/store/redis-guard.ts'
import { RedisLeases } from '../src/store/redis-lease.ts'
import { commandCalls } from './store/command-calls.ts'
import { eventually, inTime } from './support/clock.ts'
import { type RedisServer, startRedis } from './support/redis.ts'

const WAIT_MS = 60_000

describe('FleetFlights', () => {
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis()
    raw = server.client()
  })
  after(() => server.stop())

  async function open(deadlineMs = 2000): Promise<FleetFlights> {
    const client = server.client()
    await client.ping()
    const guard = new RedisGuard(client, { deadlineMs, breaker: false, onTrouble: () => {} })
    return new FleetFlights(new RedisLeases(guard, 'shop'))
  }

  /** What there is to find is in `stored`. */
  function contestFor(key: string, holdMs = WAIT_MS): Contest<string> & { stored?: string } {
    const contest: Contest<string> & { stored?: string } = {
      key,
      holdMs,
      find: () => Promise.resolve(contest.stored),
    }
    return contest
  }

  async function lead(fleet: FleetFlights, contest: Contest<string>): Promise<FleetLease> {
    const turn = await fleet.contest(contest, WAIT_MS)
    assert.ok(typeof turn === 'object' && turn.lease !== undefined, JSON.stringify(turn))
    return turn.lease
  }

  it('lets one run, and gives what it stored to the others', async () => {
    const fleets = await Promise.all([open(), open(), open()])
    const contest = contestFor('one')
    const turns = fleets.map((fleet) => fleet.contest(contest, WAIT_MS))
    const first = await Promise.race(turns)
    assert.ok(typeof first === 'object' && first.lease)
    await eventually('two wait', () => {
      return fleets.reduce((sum, fleet) => sum + fleet.state().waiting, 0) === 2
    })
    contest.stored = 'answer'
    await first.lease.settle('over')
    const others = (await Promise.all(turns)).filter((turn) => turn !== first)
    assert.deepEqual(others, [{ found: 'answer' }, { found: 'answer' }])
    for (const fleet of fleets) assert.deepEqual(fleet.state(), { leases: 0, waiting: 0 })
  })

  it('needs no run where something was stored just before', async () => {
    const fleet = await open()
    const contest = { ...contestFor('before'), find: () => Promise.resolve('there already') }
    assert.deepEqual(await fleet.contest(contest, WAIT_MS), { found: 'there already' })
    await eventually('the lease is free', async () => (await raw.exists('shop#l:before')) === 0)
  })

  it('waits for the end of the store, and runs again where there is nothing after it', async () => {
    const [one, two] = [await open(), await open()]
    const lease = await lead(one, contestFor('store'))
    const waiting = two.contest(contestFor('store'), WAIT_MS)
    let stored!: (isStored: boolean) => void
    void lease.settle('over', new Promise((resolve) => (stored = resolve)))
    // The first call counts.
    await lease.settle('uncacheable')
    await eventually('it waits', () => two.state().waiting === 1)
    stored(true)
    const turn = await waiting
    assert.ok(typeof turn === 'object' && turn.lease)
    await turn.lease.settle('over')
  })

  it('lets each go its own way where nothing could be stored, or nothing may be', async () => {
    const [one, two] = [await open(), await open()]
    for (const [key, settle, turn] of [
      ['full', (lease: FleetLease) => lease.settle('over', Promise.resolve(false)), 'alone'],
      ['failed', (lease: FleetLease) => lease.settle('failed'), 'alone'],
      ['private', (lease: FleetLease) => lease.settle('uncacheable'), 'uncacheable'],
    ] as const) {
      const lease = await lead(one, contestFor(key))
      const waiting = two.contest(contestFor(key), WAIT_MS)
      await eventually('it waits', () => two.state().waiting === 1)
      await settle(lease)
      assert.equal(await waiting, turn)
      // And so do those who come, for a moment.
      assert.equal(await one.contest(contestFor(key), WAIT_MS), turn)
      const left = await raw.pttl(`shop#l:${key}`)
      assert.ok(left > 0 && left <= 2000, `${left}`)
      await raw.del(`shop#l:${key}`)
    }
  })

  it('stops renewing what another holds by now', async () => {
    const [one, two] = [await open(), await open()]
    // Held for so short a time, it is renewed every few milliseconds.
    const lease = await lead(one, contestFor('lost', 300))
    await raw.del('shop#l:lost')
    const other = await lead(two, contestFor('lost'))
    const token = await raw.get('shop#l:lost')
    await pause(150)
    assert.equal(await raw.get('shop#l:lost'), token)
    await lease.settle('uncacheable')
    assert.equal(await raw.get('shop#l:lost'), token)
    await other.settle('over')
  })

  it('holds a lease no longer than it may', async () => {
    const fleet = await open()
    await lead(fleet, contestFor('long', 60))
    await eventually('it has run out', async () => (await raw.exists('shop#l:long')) === 0)
  })

  it('waits no longer than it may', async () => {
    const [one, two] = [await open(), await open()]
    const lease = await lead(one, contestFor('slow'))
    assert.equal(await inTime('alone', two.contest(contestFor('slow'), 30)), 'alone')
    assert.equal(await two.contest(contestFor('slow'), 0), 'alone')
    await lease.settle('over')
  })

  it('leaves a refresh to whoever does it, and does not ask again at once', async () => {
    const [one, two] = [await open(), await open()]
    const lease = await lead(one, contestFor('refresh'))
    assert.equal(two.isElsewhere('refresh'), false)
    assert.equal(await two.refresh(contestFor('refresh')), 'elsewhere')
    assert.equal(two.isElsewhere('refresh'), true)
    assert.equal(two.isElsewhere('another'), false)
    await lease.settle('over')
    await eventually('it asks again', () => !two.isElsewhere('refresh'))
    const turn = await two.refresh(contestFor('refresh'))
    assert.ok(typeof turn === 'object' && turn.lease)
    await turn.lease.settle('over')
    const found = { ...contestFor('refresh'), find: () => Promise.resolve('fresh') }
    assert.deepEqual(await two.refresh(found), { found: 'fresh' })
  })

  it('wakes those who wait when it is closed, and gives up what it holds', async () => {
    const [one, two] = [await open(), await open()]
    await lead(one, contestFor('close'))
    const waiting = two.contest(contestFor('close'), WAIT_MS)
    await eventually('it waits', () => two.state().waiting === 1)
    await two.close()
    assert.equal(await inTime('awake', waiting), 'alone')
    assert.equal(await two.contest(contestFor('close'), WAIT_MS), 'alone')
    assert.equal(await two.refresh(contestFor('close')), 'alone')
    await one.close()
    assert.equal(await raw.exists('shop#l:close'), 0)
    assert.deepEqual(one.state(), { leases: 0, waiting: 0 })
  })

  it('asks about a thousand times in a second, however many wait', async () => {
    const fleet = await open()
    const keys = Array.from({ length: 600 }, (_, n) => `many:${n}`)
    for (const key of keys) await raw.set(`shop#l:${key}`, 't:another', 'PX', WAIT_MS)
    const waiting = keys.map((key) => fleet.contest(contestFor(key), WAIT_MS))
    await eventually('all wait', () => fleet.state().waiting === keys.length)
    await pause(300)
    const since = performance.now()
    const { get = 0 } = await commandCalls(raw, () => pause(700))
    const perSecond = (1000 * get) / (performance.now() - since)
    // Each by itself would ask ten times.
    assert.ok(perSecond > 0 && perSecond < 3000, `${perSecond}`)
    await fleet.close()
    await Promise.all(waiting)
    await raw.del(...keys.map((key) => `shop#l:${key}`))
  })

  it('is for itself while Redis stands still, and leaves no lease that comes late', async () => {
    const fleet = await open(500)
    const lease = await lead(await open(), contestFor('before the frost'))
    const waiting = fleet.contest(contestFor('before the frost'), WAIT_MS)
    await eventually('it waits', () => fleet.state().waiting === 1)
    server.freeze()
    const turns = Promise.all([
      waiting,
      fleet.contest(contestFor('frozen'), WAIT_MS),
      fleet.refresh(contestFor('frozen')),
    ])
    assert.deepEqual(await inTime('alone', turns), ['alone', 'alone', 'alone'])
    server.thaw()
    await lease.settle('over')
    await eventually('no lease is left', async () => (await raw.keys('shop#l:*')).length === 0)
  })
})
