import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { Readable } from 'node:stream'
import { describe, it } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'

import { refreshOf } from '../src/refresh-request.ts'
import { Door } from './support/app.ts'
import { eventually } from './support/clock.ts'
import { markStored, refreshRequest, refreshingApp } from './support/refreshing-app.ts'

describe('one at a time', () => {
  it('makes one request for a thousand refreshes of one key', async (t) => {
    const door = new Door()
    const { start, revalidator, idle } = await refreshingApp(t, (app) => {
      app.get('/', async (request) => {
        await door.pass()
        markStored(request)
        return 'fresh'
      })
    })
    const started = Array.from({ length: 1000 }, () => start())
    assert.equal(started.filter(Boolean).length, 1)
    assert.equal(revalidator.running, 1)
    await door.reached()
    assert.equal(start(), undefined)
    door.open()
    await idle()
    assert.equal(door.arrived, 1)
    assert.notEqual(start(), undefined)
  })

  it('refreshes as many keys at the same time as it may, and then no more', async (t) => {
    const door = new Door()
    const { start, revalidator, idle, troubles } = await refreshingApp(
      t,
      (app) => {
        app.get('/', async (request) => {
          await door.pass()
          markStored(request)
          return 'fresh'
        })
      },
      { maxConcurrent: 3 },
    )
    const started = ['a', 'b', 'c', 'd', 'e'].map((key) => start({}, key) !== undefined)
    assert.deepEqual(started, [true, true, true, false, false])
    assert.equal(revalidator.accepts('d'), false)
    await door.reached(3)
    door.open()
    await idle()
    assert.equal(revalidator.running, 0)
    assert.equal(revalidator.accepts('d'), true)
    // Being refused is no failure: there is no back-off.
    assert.notEqual(start({}, 'd'), undefined)
    assert.deepEqual(troubles, [])
  })

  it('lets the caller go on first', async (t) => {
    let isAsked = false
    const { start, idle } = await refreshingApp(t, (app) => {
      app.addHook('onRequest', (_request, _reply, done) => {
        isAsked = true
        done()
      })
      app.get('/', () => 'fresh')
    })
    start()
    await Promise.resolve()
    assert.equal(isAsked, false)
    await idle()
    assert.equal(isAsked, true)
  })
})

describe('a refresh that fails', () => {
  it('is not repeated for a second, then for two, and counts anew after a success', async (t) => {
    let answer = 'fails'
    const { start, idle, clock, troubles } = await refreshingApp(t, (app) => {
      app.get('/page', (request, reply) => {
        if (answer === 'fails') return reply.code(503).send('busy')
        markStored(request)
        return 'fresh'
      })
    })
    const url = '/page?token=secret'
    const tryAfter = async (milliseconds: number): Promise<boolean> => {
      clock.advance(milliseconds)
      const started = start({ url }) !== undefined
      await idle()
      return started
    }
    assert.equal(await tryAfter(0), true)
    assert.equal(await tryAfter(999), false)
    assert.equal(await tryAfter(1), true)
    assert.equal(await tryAfter(1999), false)
    answer = 'works'
    assert.equal(await tryAfter(1), true)
    answer = 'fails'
    assert.equal(await tryAfter(0), true)
    assert.equal(await tryAfter(999), false)
    const complaint = (ms: number): string =>
      `refresh: the refresh of /page failed, none for ${ms} ms: status 503`
    assert.deepEqual(troubles, [complaint(1000), complaint(2000), complaint(1000)])
  })

  it('is any that stored nothing, and one key does not hold back another', async (t) => {
    const { start, idle, troubles } = await refreshingApp(t, (app) => {
      app.get('/', (_request, reply) => reply.code(204).send())
    })
    start({}, 'a')
    await idle()
    assert.match(troubles[0]!, /status 204, nothing was stored$/)
    assert.equal(start({}, 'a'), undefined)
    assert.notEqual(start({}, 'b'), undefined)
  })

  it('is one with a server error, even if that was stored', async (t) => {
    const { run, start } = await refreshingApp(t, (app) => {
      app.get('/', (request, reply) => {
        markStored(request)
        return reply.code(500).send('error')
      })
    })
    await run()
    assert.equal(start(), undefined)
  })

  it('is one whose body breaks off', async (t) => {
    const { run, start, troubles } = await refreshingApp(t, (app) => {
      app.get('/', (request, reply) => {
        markStored(request)
        async function* broken(): AsyncGenerator<string> {
          yield 'begin'
          throw new Error('broken off')
        }
        return reply.send(Readable.from(broken()))
      })
    })
    await run()
    assert.match(troubles.join('\n'), /^refresh: the refresh of \/ failed/)
    assert.equal(start(), undefined)
  })

  it('is one whose handler throws', async (t) => {
    const { run, troubles } = await refreshingApp(t, (app) => {
      app.get('/', () => {
        throw new Error('thrown')
      })
    })
    await run()
    assert.match(troubles[0]!, /status 500$/)
  })

  it('is one that the application throws at before there is a request', async (t) => {
    const { run, start, troubles } = await refreshingApp(t, (app) => app.get('/', () => 'fresh'), {
      fastify: {
        rewriteUrl: () => {
          throw new Error('not rewritten')
        },
      },
    })
    await run()
    assert.match(troubles[0]!, /none for 1000 ms: not rewritten$/)
    assert.equal(start(), undefined)
  })

  it('is forgotten when others have failed since', async (t) => {
    const { start, idle } = await refreshingApp(
      t,
      (app) => app.get('/', (_request, reply) => reply.code(500).send('error')),
      { maxRemembered: 1 },
    )
    start({}, 'a')
    await idle()
    start({}, 'b')
    await idle()
    assert.equal(start({}, 'b'), undefined)
    assert.notEqual(start({}, 'a'), undefined)
  })
})

describe('what a client keeps in an AsyncLocalStorage', () => {
  it('is not seen by the refresh that its request causes; what was there at the start is', async (t) => {
    const user = new AsyncLocalStorage<string>()
    const seen: (string | undefined)[] = []
    const revalidator = await user.run('application', async () => {
      const { app, revalidator } = await refreshingApp(t, (app) => {
        app.addHook('onRequest', async () => void seen.push(user.getStore()))
        app.get('/', async (request) => {
          seen.push(user.getStore())
          if (refreshOf(request.raw) === undefined) {
            revalidator.refresh('key', refreshRequest(), { key: 'key' })
          }
          await nextTurn()
          seen.push(user.getStore())
          return 'page'
        })
      })
      await user.run('alice', async () => void (await app.inject('/')))
      return revalidator
    })
    await eventually('the refresh is over', () => revalidator.running === 0)
    const sorted = seen.toSorted()
    assert.deepEqual(sorted, [...Array(3).fill('alice'), ...Array(3).fill('application')])
  })
})
