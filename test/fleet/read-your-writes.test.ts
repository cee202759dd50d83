// A client that writes in one process and reads in another, which has not heard of the write yet.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import Fastify from 'fastify'
import type { Redis } from 'ioredis'

import responseCache, {
  type CacheClient,
  type ReadYourWritesOptions,
  type ResponseCacheOptions,
} from '../../src/index.ts'
import { type Answer, type Client, Door, listen } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

const SECRET = 'a secret that all processes have in common'
/** Longer than it takes a held-up process to hear of anything. */
const PATIENT_MS = 10_000
const IMPATIENT_MS = 50

/** What a process reads of the log arrives only while the gate is open. */
class Gate {
  #opened = Promise.resolve()
  open: () => void = () => {}

  close(): void {
    this.#opened = new Promise((resolve) => {
      this.open = resolve
    })
  }

  on(redis: Redis): Redis {
    const duplicate = redis.duplicate.bind(redis)
    redis.duplicate = (override) => {
      const follower = duplicate(override)
      const xread = follower.xread.bind(follower) as (...args: unknown[]) => Promise<unknown>
      const held = async (...args: unknown[]): Promise<unknown> => {
        const records = await xread(...args)
        await this.#opened
        return records
      }
      Object.assign(follower, { xread: held })
      return follower
    }
    return redis
  }
}

interface Process {
  client: Client
  cache: CacheClient
  /** Requests that have come as far as the cache. */
  arrived: () => number
}

interface Scene {
  server: RedisServer
  /** Where the client writes. */
  writer: Process
  /** Where it reads; it hears through the gate. */
  reader: Process
  gate: Gate
  /** Where handlers that have read wait; open at first. */
  door: { current: Door }
  write: () => Promise<{ cookie: string }>
  read: (headers?: Record<string, string>) => Promise<Read>
}

interface Read {
  version: number
  status: ReturnType<typeof statusOf>
}

async function scene(
  t: TestContext,
  own: Partial<ReadYourWritesOptions>,
  options: ResponseCacheOptions = {},
): Promise<Scene> {
  const server = await startRedis()
  t.after(() => server.stop())
  const gate = new Gate()
  t.after(() => gate.open())
  const database = { version: 1 }
  const door = { current: new Door() }
  door.current.open()
  const readYourWrites = { secret: SECRET, ...own }
  const start = async (redis: Redis): Promise<Process> => {
    const app = Fastify()
    let arrived = 0
    await app.register(responseCache, {
      ...{ redis, namespace: 'shop', defaults: { ttl: '1h' }, readYourWrites },
      ...options,
    })
    app.addHook('preHandler', async () => {
      arrived++
    })
    app.get('/', { config: { cache: { tags: ['x'] } } }, async () => {
      const { version } = database
      await door.current.pass()
      return { version }
    })
    app.put('/', { config: { cache: { invalidates: ['x'] } } }, async () => {
      database.version++
      return 'written'
    })
    const client = await listen(t, app)
    await eventually('the log is loaded', () => app.cache.stats().log.verified)
    return { client, cache: app.cache, arrived: () => arrived }
  }
  const [writer, reader] = [await start(server.client()), await start(gate.on(server.client()))]
  return {
    ...{ server, writer, reader, gate, door },
    write: async () => ({ cookie: cookieOf(await writer.client.send('PUT', '/')) }),
    read: async (headers = {}) => {
      const answer = await reader.client.get('/', headers)
      const { version } = JSON.parse(answer.text) as { version: number }
      return { version, status: statusOf(answer) }
    },
  }
}

function cookieOf(answer: Answer): string {
  assert.equal(answer.status, 200)
  const [field] = answer.headers['set-cookie'] ?? []
  assert.ok(field, 'no cookie')
  return field.split(';')[0]!
}

async function cached({ read }: Scene, version: number): Promise<void> {
  await eventually('it is cached', async () => {
    const answer = await read()
    return answer.version === version && answer.status.hit === true
  })
}

describe('a client that has written in another process', { concurrency: true }, () => {
  for (const memory of [undefined, false] as const) {
    it(`is answered when this one has heard of it; others are not held up: ${memory ?? 'memory'}`, async (t) => {
      const options = memory === undefined ? {} : { memory }
      const play = await scene(t, { maxWaitMs: PATIENT_MS }, options)
      const { reader, gate, write, read } = play
      await cached(play, 1)
      gate.close()
      const own = await write()
      const before = reader.arrived()
      const reading = read(own)
      await eventually('it has come', () => reader.arrived() > before)
      assert.deepEqual([(await read()).version, (await read()).status.hit], [1, true])
      gate.open()
      assert.equal((await reading).version, 2)
      assert.deepEqual([(await read(own)).version, (await read(own)).status.hit], [2, true])
      assert.deepEqual([(await read()).version, (await read()).status.hit], [2, true])
    })
  }

  it('is answered by the handler when this one has not heard of it in time', async (t) => {
    const play = await scene(t, { maxWaitMs: IMPATIENT_MS })
    const { gate, write, read } = play
    await cached(play, 1)
    gate.close()
    const own = await write()
    const answer = await read(own)
    assert.equal(answer.version, 2)
    assert.equal(answer.status.fwd, 'miss')
    gate.open()
    await cached(play, 2)
  })

  it('gets no run that began before its write, also where it waits with others', async (t) => {
    const play = await scene(t, { maxWaitMs: PATIENT_MS })
    const { reader, gate, door, write, read } = play
    door.current = new Door()
    const early = read()
    await door.current.reached()
    const held = door.current
    door.current = new Door()
    door.current.open()
    gate.close()
    const own = await write()
    const before = reader.arrived()
    const [first, second] = [read(own), read(own)]
    await eventually('they have come', () => reader.arrived() === before + 2)
    gate.open()
    // They have joined the run at the door by then, or wait for the log still.
    await eventually('it has heard', () => reader.cache.stats().log.seq === 1)
    held.open()
    assert.equal((await early).version, 1)
    assert.equal((await first).version, 2)
    assert.equal((await second).version, 2)
  })

  it('joins no run when this process has not heard of its write in time', async (t) => {
    const { gate, door, write, read } = await scene(t, { maxWaitMs: IMPATIENT_MS })
    door.current = new Door()
    const early = read()
    await door.current.reached()
    const held = door.current
    door.current = new Door()
    door.current.open()
    gate.close()
    const own = await write()
    assert.equal((await inTime('it does not wait for the others', read(own))).version, 2)
    held.open()
    assert.equal((await early).version, 1)
  })

  it('gets nothing from before it where Redis could not confirm the write', async (t) => {
    const play = await scene(t, {})
    const { server, writer, gate, write, read } = play
    await cached(play, 1)
    gate.close()
    const raw = server.client()
    await raw.config('SET', 'min-replicas-to-write', '1')
    const own = await write()
    assert.equal(writer.cache.stats().pendingInvalidations > 0, true)
    assert.equal((await read()).version, 1, 'nobody could have told')
    assert.equal((await read(own)).version, 2)
    assert.equal((await read(own)).status.fwd, 'miss')
    await raw.config('SET', 'min-replicas-to-write', '0')
    gate.open()
    await cached(play, 2)
  })

  it('gets nothing from before it while Redis is frozen, in bounded time', async (t) => {
    const play = await scene(t, {})
    const { server, gate, write, read } = play
    await cached(play, 1)
    gate.close()
    const confirmed = await write()
    server.freeze()
    t.after(() => server.thaw())
    assert.equal((await inTime('a read', read(confirmed))).version, 2)
    const unconfirmed = await inTime('a write', write())
    assert.equal((await inTime('a read', read(unconfirmed))).version, 3)
    server.thaw()
    gate.open()
    await cached(play, 3)
  })

  it('gets nothing from before it though the log has begun anew since', async (t) => {
    const play = await scene(t, {})
    const { server, gate, write, read } = play
    await cached(play, 1)
    gate.close()
    const own = await write()
    const raw = server.client()
    await raw.flushall()
    assert.equal((await read(own)).version, 2)
    gate.open()
    await cached(play, 2)
    await eventually('a token of the old log stands in nobody’s way', async () => {
      return (await read(own)).status.hit === true
    })
  })
})
