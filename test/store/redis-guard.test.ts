import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Redis } from 'ioredis'

import {
  type BreakerOptions,
  FAILED,
  type RedisClient,
  RedisGuard,
} from '../../src/store/redis-guard.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

/** A client of which a test says itself when it answers. */
class ManualClient {
  status = 'ready'
  readonly calls: { resolve: (value: unknown) => void; reject: (error: Error) => void }[] = []

  ask(): Promise<unknown> {
    return new Promise((resolve, reject) => this.calls.push({ resolve, reject }))
  }
}

interface Opened {
  guard: RedisGuard
  client: ManualClient
  ask: () => Promise<unknown>
  troubles: string[]
}

function open(breaker: BreakerOptions | false, deadlineMs = 15): Opened {
  const client = new ManualClient()
  const troubles: string[] = []
  const guard = new RedisGuard(client as unknown as RedisClient, {
    deadlineMs,
    breaker,
    onTrouble: (operation, error) => troubles.push(`${operation}: ${error.message}`),
  })
  return { guard, client, troubles, ask: () => guard.attempt('ask', () => client.ask()) }
}

const NEVER_AGAIN = { failures: 2, resetMs: 1_000_000 }

describe('RedisGuard', () => {
  it('passes the answer on', async () => {
    const { ask, client, troubles, guard } = open(NEVER_AGAIN, 2000)
    const answer = ask()
    client.calls[0]!.resolve('value')
    assert.equal(await answer, 'value')
    assert.deepEqual(troubles, [])
    assert.equal(guard.state, 'closed')
  })

  it('gives FAILED when the deadline has passed, and tells', async () => {
    const { ask, troubles, guard } = open(false)
    assert.equal(await ask(), FAILED)
    assert.deepEqual(troubles, ['ask: no answer within 15 ms'])
    assert.equal(guard.lastError, 'no answer within 15 ms')
  })

  it('takes a deadline of its own for one operation', async () => {
    const { guard, client, troubles } = open(false, 2000)
    assert.equal(await guard.attempt('once', () => client.ask(), 10), FAILED)
    assert.deepEqual(troubles, ['once: no answer within 10 ms'])
  })

  it('gives FAILED for an error, and tells', async () => {
    const { ask, client, troubles } = open(false)
    const answer = ask()
    client.calls[0]!.reject(new Error('Connection is closed.'))
    assert.equal(await answer, FAILED)
    assert.deepEqual(troubles, ['ask: Connection is closed.'])
  })

  it('gives FAILED for an operation that throws before it asks', async () => {
    const { guard, troubles } = open(false)
    const answer = guard.attempt('broken', () => {
      throw new Error('at once')
    })
    assert.equal(await answer, FAILED)
    assert.deepEqual(troubles, ['broken: at once'])
  })

  it('asks nothing of a client that is not connected', async () => {
    const { ask, client, troubles } = open(NEVER_AGAIN)
    for (const status of ['connecting', 'reconnecting', 'close', 'end']) {
      client.status = status
      assert.equal(await ask(), FAILED)
    }
    assert.equal(client.calls.length, 0)
    assert.equal(troubles.length, 4)
    assert.match(troubles[0]!, /not connected \(connecting\)/)
  })

  it('ignores what answers after the deadline: it counts and tells once', async () => {
    const { ask, client, troubles, guard } = open({ failures: 2, resetMs: 1_000_000 })
    assert.equal(await ask(), FAILED)
    client.calls[0]!.reject(new Error('Connection is closed.'))
    await nextTurn()
    assert.equal(guard.state, 'closed')
    assert.deepEqual(troubles, ['ask: no answer within 15 ms'])
  })
})

describe('the soft deadline of RedisGuard', () => {
  /** One question with a soft deadline, and what its asker was told, in order. */
  function askSoftly({ guard, client }: Opened, milliseconds: number): unknown[] {
    const told: unknown[] = []
    guard.ask('ask', {
      run: () => client.ask(),
      done: (answer) => told.push(answer),
      soft: { milliseconds, passed: () => told.push('passed') },
    })
    return told
  }

  it('passes before the answer, which is still told and counts as one', async () => {
    const opened = open({ failures: 1, resetMs: 1_000_000 }, 60_000)
    const told = askSoftly(opened, 5)
    await eventually('it has passed', () => told.length > 0)
    opened.client.calls[0]!.resolve('late')
    await nextTurn()
    assert.deepEqual(told, ['passed', 'late'])
    assert.deepEqual(opened.troubles, [])
    assert.equal(opened.guard.state, 'closed')
  })

  it('is no failure; that the deadline passes after it is one', async () => {
    const opened = open({ failures: 1, resetMs: 1_000_000 }, 30)
    const told = askSoftly(opened, 5)
    await eventually('both have passed', () => told.length === 2)
    assert.deepEqual(told, ['passed', FAILED])
    assert.deepEqual(opened.troubles, ['ask: no answer within 30 ms'])
    assert.equal(opened.guard.state, 'open')
  })

  it('does not pass after an answer, nor where nothing is asked', async () => {
    const opened = open({ failures: 1, resetMs: 1_000_000 }, 60_000)
    const told = askSoftly(opened, 1)
    opened.client.calls[0]!.resolve('at once')
    opened.client.status = 'end'
    const refused = askSoftly(opened, 1)
    // One that is asked later passes later.
    opened.client.status = 'ready'
    const later = askSoftly(opened, 1)
    await eventually('a later one has passed', () => later.length > 0)
    opened.client.calls[1]!.resolve('not waited for')
    assert.deepEqual(told, ['at once'])
    assert.deepEqual(refused, [FAILED])
  })
})

describe('the breaker of RedisGuard', () => {
  /** Lets the given number of operations fail by time, one after the other. */
  async function timeOut(opened: Opened, times: number): Promise<void> {
    for (let n = 0; n < times; n++) assert.equal(await opened.ask(), FAILED)
  }

  it('opens after so many timeouts in a row, and then nothing is asked and nothing waits', async () => {
    const opened = open({ failures: 3, resetMs: 1_000_000 })
    await timeOut(opened, 2)
    assert.equal(opened.guard.state, 'closed')
    await timeOut(opened, 1)
    assert.equal(opened.guard.state, 'open')
    await timeOut(opened, 100)
    assert.equal(opened.client.calls.length, 3)
  })

  it('opens after so many lost connections', async () => {
    const { ask, client, guard } = open(NEVER_AGAIN, 2000)
    for (let n = 0; n < 2; n++) {
      const answer = ask()
      client.calls[n]!.reject(new Error('Connection is closed.'))
      await answer
    }
    assert.equal(guard.state, 'open')
  })

  it('starts to count anew after an answer in time', async () => {
    const opened = open({ failures: 2, resetMs: 1_000_000 }, 50)
    await timeOut(opened, 1)
    const answer = opened.ask()
    opened.client.calls[1]!.resolve('in time')
    assert.equal(await answer, 'in time')
    await timeOut(opened, 1)
    assert.equal(opened.guard.state, 'closed')
  })

  it('stays closed when the server answers with errors, because those cost no time', async () => {
    const { ask, client, guard } = open(NEVER_AGAIN)
    for (let n = 0; n < 10; n++) {
      const answer = ask()
      const error = Object.assign(new Error('WRONGTYPE …'), { name: 'ReplyError' })
      client.calls[n]!.reject(error)
      assert.equal(await answer, FAILED)
    }
    assert.equal(guard.state, 'closed')
  })

  it('stays out of the way when it is switched off', async () => {
    const opened = open(false, 1)
    await timeOut(opened, 20)
    assert.equal(opened.guard.state, 'closed')
    assert.equal(opened.client.calls.length, 20)
  })

  it('opens for a server whose answers always come, and always too late', async () => {
    const opened = open({ failures: 3, resetMs: 1_000_000 })
    for (let n = 0; n < 3; n++) {
      await timeOut(opened, 1)
      opened.client.calls[n]!.resolve('late')
    }
    await nextTurn()
    assert.equal(opened.guard.state, 'open')
  })

  it('lets one operation through as a probe, and closes when it succeeds', async () => {
    const opened = open({ failures: 1, resetMs: 20 }, 5000)
    const first = opened.ask()
    opened.client.calls[0]!.reject(new Error('Connection is closed.'))
    await first
    assert.equal(opened.guard.state, 'open')
    await eventually('half open', () => opened.guard.state === 'half-open')
    const answers = Array.from({ length: 50 }, () => opened.ask())
    assert.equal(opened.client.calls.length, 2)
    opened.client.calls[1]!.resolve('back')
    const values = await Promise.all(answers)
    assert.deepEqual(
      values.filter((value) => value !== FAILED),
      ['back'],
    )
    assert.equal(opened.guard.state, 'closed')
    const next = opened.ask()
    opened.client.calls[2]!.resolve('again')
    assert.equal(await next, 'again')
  })

  it('opens again when the probe fails', async () => {
    const opened = open({ failures: 1, resetMs: 50 }, 5000)
    for (let round = 0; round < 2; round++) {
      const answer = opened.ask()
      opened.client.calls[round]!.reject(new Error('Connection is closed.'))
      assert.equal(await answer, FAILED)
      assert.equal(opened.guard.state, 'open')
      await eventually('half open', () => opened.guard.state === 'half-open')
    }
  })

  it('lets through one probe only, also when an older operation ends while it is on its way', async () => {
    const opened = open({ failures: 1, resetMs: 20 }, 5000)
    const [older, first] = [opened.ask(), opened.ask()]
    opened.client.calls[1]!.reject(new Error('Connection is closed.'))
    await first
    await eventually('half open', () => opened.guard.state === 'half-open')
    const probe = opened.ask()
    opened.client.calls[0]!.reject(new Error('Connection is closed.'))
    assert.equal(await older, FAILED)
    await eventually('half open again', () => opened.guard.state === 'half-open')
    assert.equal(await Promise.race([opened.ask(), 'asked']), FAILED)
    opened.client.calls[2]!.resolve('back')
    assert.equal(await probe, 'back')
  })
})

describe('RedisGuard with a real server', () => {
  let server: RedisServer
  let client: Redis
  before(async () => {
    server = await startRedis()
    client = server.client()
    await client.ping()
  })
  after(() => server.stop())

  const guardOf = (connection: Redis): RedisGuard =>
    new RedisGuard(connection, {
      deadlineMs: 50,
      breaker: { failures: 3, resetMs: 100 },
      onTrouble: () => {},
    })

  it('waits for a frozen server only a few times, and finds it again when it goes on', async () => {
    const guard = guardOf(client)
    assert.equal(await guard.attempt('ping', (redis) => redis.ping()), 'PONG')
    server.freeze()
    try {
      for (let n = 0; n < 3; n++) {
        const answer = guard.attempt('ping', (redis) => redis.ping())
        assert.equal(await inTime('a frozen server', answer), FAILED)
      }
      assert.equal(guard.state, 'open')
      let sent = 0
      const started = performance.now()
      while (guard.state === 'open') {
        await guard.attempt('ping', (redis) => {
          sent++
          return redis.ping()
        })
      }
      assert.ok(sent <= 1 + (performance.now() - started) / 100, `${sent} operations`)
    } finally {
      server.thaw()
    }
    await eventually('the server answers', async () => {
      return (await guard.attempt('ping', (redis) => redis.ping())) === 'PONG'
    })
    assert.equal(guard.state, 'closed')
  })

  it('does not wait for a server that nobody listens for', async () => {
    const down = await startRedis()
    const connection = down.client({ enableOfflineQueue: true })
    await connection.ping()
    await down.kill()
    const guard = guardOf(connection)
    await eventually('the connection is lost', () => connection.status !== 'ready')
    for (let n = 0; n < 1000; n++) {
      const answer = guard.attempt('ping', (redis) => redis.ping())
      assert.equal(await inTime('a server that is down', answer), FAILED)
    }
    await down.restart()
    await eventually('the server answers', async () => {
      return (await guard.attempt('ping', (redis) => redis.ping())) === 'PONG'
    })
    await down.stop()
  })
})
