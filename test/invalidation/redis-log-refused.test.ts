// A server that does not run our scripts, and takes other writes: full, or told so by its operator.
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import type { Redis } from 'ioredis'

import type { Fenced } from '../../src/invalidation/log.ts'
import { eventually, inTime } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { KEYS, LogProcess } from './log-process.ts'

const PENDING = { code: 'FST_RESPONSE_CACHE_INVALIDATION_PENDING', statusCode: 503 }
const SCRIPTS = ['eval', 'evalsha']

interface Scene {
  server: RedisServer
  raw: Redis
  one: LogProcess
  two: LogProcess
  /** Computed before, of a tag that is to be invalidated and of another. */
  old: Fenced
  other: Fenced
}

async function scene(
  play: (scene: Scene) => Promise<void>,
  { args = [], client = (redis: Redis) => redis }: { args?: string[]; client?: Disguise } = {},
): Promise<void> {
  const server = await startRedis({ args })
  const [one, two] = await Promise.all([
    LogProcess.start(client(server.client())),
    LogProcess.start(client(server.client())),
  ])
  try {
    const [old, other] = [one.compute('t:=x'), one.compute('t:=y')]
    await play({ server, raw: server.client(), one, two, old, other })
  } finally {
    await Promise.all([one.close(), two.close()])
    await server.stop()
  }
}

type Disguise = (redis: Redis) => Redis

/** Refuses the first line of the scripts as Redis 6.2 does, on this connection and its duplicates. */
function asRedis6(redis: Redis): Redis {
  const [run, duplicate] = [redis.eval.bind(redis), redis.duplicate.bind(redis)]
  return Object.assign(redis, {
    eval: (...args: Parameters<typeof run>) =>
      String(args[0]).startsWith('#!')
        ? Promise.reject(replyError("ERR Error compiling script: unexpected symbol near '#'"))
        : run(...args),
    // The server knows what other tests have sent, so each script is sent whole.
    evalsha: () => Promise.reject(replyError('NOSCRIPT No matching script')),
    duplicate: (options: object) => asRedis6(duplicate(options)),
  })
}

function replyError(message: string): Error {
  return Object.assign(new Error(message), { name: 'ReplyError' })
}

const forbid = (raw: Redis, ...commands: string[]): Promise<unknown> =>
  raw.acl('SETUSER', 'default', ...commands.map((name) => `-${name}`))
const allow = (raw: Redis, ...commands: string[]): Promise<unknown> =>
  raw.acl('SETUSER', 'default', ...commands.map((name) => `+${name}`))

describe('an invalidation whose script the server refuses', { concurrency: true }, () => {
  it('is done by removing the epoch: nothing from before is used by anyone, and it goes on after', () =>
    scene(async ({ raw, one, two, old, other }) => {
      await forbid(raw, ...SCRIPTS)
      const receipt = await one.log.invalidate({ tags: ['t:=x'], mode: 'expire' })
      assert.equal(receipt.epoch, '')
      assert.equal(one.log.hasReached(receipt), false, 'there is no such position')
      assert.equal(await raw.exists(KEYS.epoch), 0)
      assert.equal(await two.uses(old, true), false, 'strict')
      assert.equal(await one.uses(old), false, 'here')
      assert.equal(one.log.state().pendingInvalidations, 0)
      await eventually('the lease is over', async () => !(await two.uses(old)), 4000)
      assert.match(one.troubles.join('\n'), /^invalidate: NOPERM/m)
      await allow(raw, ...SCRIPTS)
      await one.worksWith(two)
      await two.worksWith(one)
      for (const entry of [old, other]) {
        assert.equal(await one.uses(entry), false)
        assert.equal(await two.uses(entry), false)
      }
    }))

  it('is done in one step, however many tags it names', () =>
    scene(async ({ raw, one, two, old }) => {
      await forbid(raw, ...SCRIPTS)
      const tags = Array.from({ length: 5000 }, (_, n) => `t:=${n}`)
      await one.invalidate(...tags, 't:=x')
      assert.equal(one.troubles.filter((trouble) => trouble.startsWith('invalidate')).length, 1)
      assert.equal(await two.uses(old, true), false)
    }))

  it('is delivered from the queue in the same way', () =>
    scene(async ({ raw, one, two, old }) => {
      await forbid(raw, ...SCRIPTS, 'unlink')
      await assert.rejects(one.invalidate('t:=x'), PENDING)
      assert.equal(await one.uses(old), false)
      assert.equal(await raw.get(KEYS.epoch), old.epoch, 'nobody could have told')
      await allow(raw, 'unlink')
      await eventually('delivered', () => one.log.state().pendingInvalidations === 0)
      assert.equal(await raw.exists(KEYS.epoch), 0)
      assert.equal(await two.uses(old, true), false)
    }))

  it('does not come undone when a failover brings the epoch back', () =>
    scene(async ({ raw, one, two, old }) => {
      const { epoch } = old
      await forbid(raw, ...SCRIPTS)
      await one.invalidate('t:=x')
      await allow(raw, ...SCRIPTS)
      await one.worksWith(two)
      await raw.set(KEYS.epoch, epoch)
      await eventually('it is given up', async () => (await raw.get(KEYS.epoch)) !== epoch)
      await one.worksWith(two)
      await two.worksWith(one)
      assert.equal(await one.uses(old), false)
      assert.equal(await two.uses(old), false)
    }))

  it('waits for its turn while another script runs, and costs nothing else', () =>
    scene(
      async ({ server, raw, one, two, old, other }) => {
        const endless = assert.rejects(raw.eval('while true do end', 0), /killed by user/)
        const operator = server.client()
        await eventually('the server says that it is busy', () =>
          operator.get('any').then(
            () => false,
            (error: Error) => error.message.startsWith('BUSY'),
          ),
        )
        const invalidation = one.invalidate('t:=x')
        await inTime('a rejection', assert.rejects(invalidation, PENDING))
        assert.equal(await one.uses(old), false)
        await operator.script('KILL')
        await endless
        await eventually('delivered', () => one.log.state().pendingInvalidations === 0)
        assert.equal(await raw.get(KEYS.epoch), old.epoch)
        await eventually('the other process refuses it', async () => !(await two.uses(old)))
        assert.equal(await two.uses(other, true), true)
      },
      { args: ['--lua-time-limit', '50'] },
    ))
})

describe('a server of before Redis 7', () => {
  it('gets scripts that it understands', () =>
    scene(
      async ({ one, two, old }) => {
        await one.invalidate('t:=x')
        assert.equal(await two.uses(old, true), false)
        await one.worksWith(two)
        assert.deepEqual(one.troubles, [])
      },
      { client: asRedis6 },
    ))

  // Regression: only Redis 7 was told that the script may run.
  it('runs them when it is full', () =>
    scene(
      async ({ raw, one, two, old, other }) => {
        await raw.config('SET', 'maxmemory', '1')
        await assert.rejects(raw.set('anything', 'x'), /OOM/)
        await one.invalidate('t:=x')
        assert.equal(await two.uses(old, true), false)
        assert.equal(await two.uses(other, true), true)
        const three = await LogProcess.start(asRedis6(raw.duplicate()))
        try {
          await three.worksWith(one)
        } finally {
          three.client.disconnect()
          await three.close()
        }
      },
      { client: asRedis6, args: ['--maxmemory-policy', 'noeviction'] },
    ))
})
