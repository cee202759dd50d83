// A failover loses the end of the log, and only who asked for it, or wrote it, knows that there was one.
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import type { Redis } from 'ioredis'

import type { Fenced } from '../../src/invalidation/log.ts'
import { eventually } from '../support/clock.ts'
import { startRedis } from '../support/redis.ts'
import { Relay } from '../support/relay.ts'
import { KEYS, LogProcess } from './log-process.ts'

interface Scene {
  log: LogProcess
  /** Of the old master; the replica lacks what is written to it from now on. */
  raw: Redis
  /** From now on scripts of the process are done, and their answers held back. */
  holdAnswers: () => void
  releaseAnswers: () => void
  /** The follower hears nothing any more. */
  holdUp: () => void
  /** The follower finds the new master. */
  promote: () => Promise<void>
  /** So do all others. */
  moveAll: () => void
  /** Another process, of the new master. */
  openOther: () => Promise<LogProcess>
}

async function scene(t: TestContext): Promise<Scene> {
  const [master, replica] = [
    await startRedis({ args: ['--repl-diskless-sync-delay', '0'] }),
    await startRedis(),
  ]
  t.after(() => Promise.all([master.stop(), replica.stop()]))
  const [main, following] = [await Relay.start(t, master.port), await Relay.start(t, master.port)]
  const retry = { retryStrategy: () => 5 }
  const given = master.client({ port: main.port, ...retry })
  const duplicate = given.duplicate.bind(given)
  const evalsha = given.evalsha.bind(given) as (...args: unknown[]) => Promise<unknown>
  let held: Promise<void> | undefined
  let release = (): void => {}
  const client = Object.create(given, {
    duplicate: { value: (override: object) => duplicate({ ...override, port: following.port }) },
    evalsha: {
      value: async (...args: unknown[]) => {
        const answer = await evalsha(...args)
        await held
        return answer
      },
    },
  }) as Redis
  const log = await LogProcess.start(client, { deadlineMs: 2000 })
  t.after(() => log.close())
  for (let n = 1; n <= 5; n++) await log.invalidate(`t:=${n}`)
  const copy = replica.client()
  await copy.replicaof('127.0.0.1', master.port)
  await eventually('the replica has everything', async () => {
    return (await copy.get(KEYS.seq)) === '5' && (await copy.info()).includes('link_status:up')
  })
  await copy.replicaof('127.0.0.1', 1)
  return {
    ...{ log, raw: master.client() },
    holdAnswers: () => {
      held = new Promise((resolve) => (release = resolve))
    },
    releaseAnswers: () => {
      held = undefined
      release()
    },
    holdUp: () => following.holdUp(),
    promote: async () => {
      await copy.replicaof('NO', 'ONE')
      following.leadTo(replica.port)
      following.release()
    },
    moveAll: () => main.leadTo(replica.port),
    openOther: async () => {
      const other = await LogProcess.start(copy)
      t.after(() => other.close())
      return other
    },
  }
}

/** What is computed anew is used by all, with no invalidation to help; what is old by nobody. */
async function cachedAgain(
  { openOther }: Pick<Scene, 'openOther'>,
  log: LogProcess,
  old: Fenced,
): Promise<void> {
  await eventually('the tag is cached again', () => log.uses(log.compute('t:=x')))
  const other = await openOther()
  assert.equal(await other.uses(log.compute('t:=x')), true)
  for (const process of [log, other]) assert.equal(await process.uses(old), false)
}

describe('a failover that loses the end of the log', { concurrency: true }, () => {
  // Regression: the mark of what was confirmed stood above a log that had lost it, so its tag could
  // not be cached before the next invalidation; and nobody else was told what was lost.
  it('is noticed by who wrote the end, and has not read it', async (t) => {
    const { log, ...scenery } = await scene(t)
    const old = log.compute('t:=x')
    scenery.holdUp()
    await log.invalidate('t:=x')
    assert.equal(log.log.position.seq, 5)
    await scenery.promote()
    scenery.moveAll()
    await cachedAgain(scenery, log, old)
  })

  // Regression: the number that an answer of the old master named was waited for ever.
  it('is noticed by who was told of the end, and has not read it', async (t) => {
    const { log, raw, ...scenery } = await scene(t)
    const old = log.compute('t:=x')
    scenery.holdUp()
    const other = await LogProcess.start(raw)
    await other.invalidate('t:=x')
    await other.close()
    scenery.holdAnswers()
    const confirmed = log.log.confirm()
    await eventually('it has asked', async () =>
      (await raw.info('commandstats')).includes('cmdstat_mget:calls='),
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    await scenery.promote()
    await eventually(
      'the new log is followed',
      () => log.troubles.length > 0 && log.log.hasReached(log.log.position),
    )
    scenery.releaseAnswers()
    assert.equal(await confirmed, false)
    scenery.moveAll()
    await cachedAgain(scenery, log, old)
  })
})
