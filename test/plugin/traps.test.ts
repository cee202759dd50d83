// What a wrapper in the handler's place gets wrong when it is written naively (design §3).
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import {
  assertHit,
  assertNotStored,
  assertStatus,
  assertStored,
  statusOf,
} from '../support/assert-status.ts'
import { Door, openDoor, start, startBoth } from '../support/app.ts'

type Handler = (this: FastifyInstance, request: FastifyRequest, reply: FastifyReply) => unknown

const STYLES: [string, Handler][] = [
  ['sync, returns a value', () => 'page'],
  ['sync, sends', (_request, reply) => void reply.send('page')],
  ['sync, returns the reply', (_request, reply) => reply.send('page')],
  ['callback, sends later', (_request, reply) => void setImmediate(() => void reply.send('page'))],
  ['async, returns a value', async () => 'page'],
  [
    'async, returns a value later',
    async () => {
      await later()
      return 'page'
    },
  ],
  ['async, sends and returns nothing', async (_request, reply) => void reply.send('page')],
  [
    'async, sends later and returns nothing',
    async (_request, reply) => {
      await later()
      reply.send('page')
    },
  ],
  ['async, sends and returns the reply', async (_request, reply) => reply.send('page')],
  [
    'async, returns the reply and sends later',
    async (_request, reply) => {
      setImmediate(() => void reply.send('page'))
      return reply
    },
  ],
  ['returns a promise of its own', () => Promise.resolve('page')],
]

for (const [style, handler] of STYLES) {
  test(`a handler that is ${style} answers leader, followers and hits`, async (t) => {
    for (const coalesce of [true, false]) {
      const door = new Door()
      let runs = 0
      const client = await start(t, (app) => {
        app.get('/x', {
          config: { cache: { coalesce } },
          preHandler: async () => door.pass(),
          handler(request, reply) {
            assert.equal(this, app, 'this is the instance')
            runs++
            return handler.call(this, request, reply)
          },
        })
      })
      const together = Array.from({ length: 3 }, () => client.get('/x'))
      await door.reached(3)
      door.open()
      for (const answer of [...(await Promise.all(together)), await client.get('/x')]) {
        assert.deepEqual([answer.status, answer.text], [200, 'page'])
        assert.equal(answer.headers['content-type'], 'text/plain; charset=utf-8')
      }
      if (coalesce) assert.equal(runs, 1)
    }
  })

  test(`a handler that is ${style} also answers those who were released to run it`, async (t) => {
    const door = new Door()
    const client = await start(t, (app) => {
      app.get('/x', {
        config: { cache: true },
        preHandler: async () => door.pass(),
        handler(request, reply) {
          // Nobody may share this.
          reply.header('set-cookie', 'a=1')
          return handler.call(this, request, reply)
        },
      })
    })
    const together = Array.from({ length: 3 }, () => client.get('/x'))
    await door.reached(3)
    door.open()
    for (const answer of await Promise.all(together)) {
      assert.deepEqual([answer.status, answer.text], [200, 'page'])
    }
  })
}

test('each request keeps its own AsyncLocalStorage, as leader, follower and in hits', async (t) => {
  const storage = new AsyncLocalStorage<string>()
  const door = new Door()
  const gate = openDoor()
  const seen: [string, string, string | undefined][] = []
  const client = await start(t, (app) => {
    app.addHook('onRequest', (request, _reply, done) => {
      storage.run(String(request.headers['x-who']), done)
    })
    for (const hook of ['onSend', 'onResponse'] as const) {
      const see = async (request: FastifyRequest): Promise<void> => {
        seen.push([hook, String(request.headers['x-who']), storage.getStore()])
      }
      app.addHook(hook as 'onResponse', see)
    }
    app.get(
      '/x',
      { config: { cache: true }, preHandler: async () => gate.pass() },
      async (request) => {
        await door.pass()
        seen.push(['handler', String(request.headers['x-who']), storage.getStore()])
        return 'page'
      },
    )
    app.get('/private', { config: { cache: true } }, async (request, reply) => {
      seen.push(['handler', String(request.headers['x-who']), storage.getStore()])
      reply.cacheSkip()
      return 'page'
    })
  })
  const who = ['ann', 'bob', 'eve']
  const together = who.map((name) => client.get('/x', { 'x-who': name }))
  await gate.reached(who.length)
  await later()
  door.open()
  await Promise.all(together)
  await client.get('/x', { 'x-who': 'dan' })
  await Promise.all(who.map((name) => client.get('/private', { 'x-who': name })))
  assert.ok(seen.length >= 1 + 4 * 2 + 3 * 3, `${seen.length} seen`)
  for (const [hook, name, stored] of seen) assert.equal(stored, name, hook)
})

test('hook arrays of the user are neither changed nor shared between routes', async (t) => {
  const calls: string[] = []
  const hooks = {
    onRequest: [async () => void calls.push('onRequest')],
    preSerialization: [async () => void calls.push('preSerialization')],
    onSend: [async () => void calls.push('onSend')],
    onError: [async () => void calls.push('onError')],
  }
  const lengths = (): number[] => Object.values(hooks).map((list) => list.length)
  const client = await start(t, (app) => {
    app.get('/cached', { ...hooks, config: { cache: true }, handler: async () => ({ a: 1 }) })
    app.get('/cached-too', { ...hooks, config: { cache: true }, handler: async () => ({ a: 2 }) })
    app.get('/uncached', { ...hooks, handler: async () => ({ a: 3 }) })
    app.put('/write', {
      ...hooks,
      config: { cache: { invalidates: ['a'] } },
      handler: async () => ({ a: 4 }),
    })
  })
  assert.deepEqual(lengths(), [1, 1, 1, 1])
  for (const path of ['/cached', '/cached-too', '/uncached']) {
    calls.length = 0
    const answer = await client.get(path)
    assert.equal(answer.headers['cache-status'] === undefined, path === '/uncached')
    assert.deepEqual(calls, ['onRequest', 'preSerialization', 'onSend'], path)
  }
  calls.length = 0
  assertHit(await client.get('/cached'))
  assert.deepEqual(calls, ['onRequest', 'onSend'])
})

test('single functions as route hooks run beside those of the cache', async (t) => {
  const calls: string[] = []
  const client = await start(t, (app) => {
    app.get('/x', {
      config: { cache: true },
      onRequest: (_request, _reply, done) => {
        calls.push('onRequest')
        done()
      },
      preSerialization: (_request, _reply, payload, done) => {
        calls.push('preSerialization')
        done(null, payload)
      },
      onSend: (_request, _reply, payload, done) => {
        calls.push('onSend')
        done(null, payload)
      },
      onError: (_request, _reply, _error, done) => {
        calls.push('onError')
        done()
      },
      handler: async (request) => {
        if ((request.query as { fail?: string }).fail !== undefined) throw new Error('broken')
        return { a: 1 }
      },
    })
  })
  assertStored(await client.get('/x'))
  assert.deepEqual(calls.splice(0), ['onRequest', 'preSerialization', 'onSend'])
  assertHit(await client.get('/x'))
  assert.deepEqual(calls.splice(0), ['onRequest', 'onSend'])
  assert.equal((await client.get('/x?fail')).status, 500)
  assert.deepEqual(calls, ['onRequest', 'onError', 'onSend'])
})

test('a handler that exceeds handlerTimeout gives 503 to the leader, and nobody waits for ever', async (t) => {
  const stuck = new Door()
  let runs = 0
  const { cached, plain } = await startBoth(t, (app) => {
    app.get('/x', {
      handlerTimeout: 150,
      config: { cache: true },
      handler: async () => {
        runs++
        await stuck.pass()
        return 'too late'
      },
    })
  })
  t.after(() => stuck.open())
  const expected = await plain.get('/x')
  runs = 0
  const answers = await Promise.all(Array.from({ length: 3 }, () => cached.get('/x')))
  for (const answer of answers) {
    assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
    assert.notEqual(answer.headers['cache-status'] && statusOf(answer).stored, true)
  }
  assert.equal(expected.status, 503)
  stuck.open()
  await later()
  const after = await cached.get('/x')
  assert.equal(after.text, 'too late', 'the late answers were not for anybody')
  assert.ok(runs >= 2)
})

test('reading the body of GET is left to the route: with content-length 0 it is cached', async (t) => {
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  assertStored(await client.get('/x', { 'content-length': '0' }))
  assertHit(await client.get('/x'))
})

test('of two answers that a handler sends the first goes out, and none is kept', async (t) => {
  const client = await start(t, (app) => {
    // Time enough for the second to overtake.
    app.addHook('onSend', async () => later())
    app.get('/x', { config: { cache: true } }, (_request, reply) => {
      void reply.send('first')
      if (!reply.sent) void reply.send('second')
    })
  })
  for (let visit = 0; visit < 2; visit++) {
    const answer = await client.get('/x')
    assert.equal(answer.text, 'first')
    assertNotStored(answer, 'error')
  }
})

test('removing the onRequest hook of the cache turns the cache off and breaks nothing', async (t) => {
  const client = await start(t, (app) => {
    app.addHook('onRoute', (route) => {
      route.onRequest = []
    })
    app.get('/x', { config: { cache: true } }, async () => 'page')
  })
  for (let visit = 0; visit < 2; visit++) {
    const answer = await client.get('/x')
    assert.deepEqual([answer.text, answer.headers['cache-status']], ['page', undefined])
  }
})

test('a hit that a follower took from a run is told as collapsed', async (t) => {
  const door = new Door()
  const gate = openDoor()
  const client = await start(t, (app) => {
    app.get('/x', { config: { cache: true }, preHandler: async () => gate.pass() }, async () => {
      await door.pass()
      return 'page'
    })
  })
  const leader = client.get('/x')
  await door.reached()
  const follower = client.get('/x')
  await gate.reached(2)
  await later()
  door.open()
  assertStored(await leader)
  assertStatus(await follower, { fwd: 'uri-miss', collapsed: true })
})
