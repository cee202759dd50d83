// Which routes that write make the cache forget their targets, and what switches it off.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { startSite } from './unsafe-site.ts'

const done = async (): Promise<string> => 'done'
const PATHS = ['/items/1', '/items/2']

type Declare = (app: FastifyInstance) => unknown

const ON: [what: string, declare: Declare, options?: ResponseCacheOptions][] = [
  ['a route with the pattern of a cached one', (app) => app.put('/items/:id', done)],
  ['one that names the parameter otherwise', (app) => app.put('/items/:key', done)],
  [
    'one that is declared in another plugin',
    (app) => app.register(async (scope) => scope.put('/items/:id', done)),
  ],
  [
    'one that is declared under a prefix',
    (app) => app.register(async (scope) => scope.put('/:id', done), { prefix: '/items' }),
  ],
  [
    'one with invalidates and another pattern',
    (app) => app.put('/items/1', { config: { cache: { invalidates: ['x'] } } }, done),
  ],
  [
    'one that asks for it and has another pattern',
    (app) => app.put('/*', { config: { cache: { invalidateTarget: true } } }, done),
  ],
  [
    'one that asks for it against the defaults',
    (app) => app.put('/items/:id', { config: { cache: { invalidateTarget: true } } }, done),
    { defaults: { ttl: '1h', invalidateTarget: false } },
  ],
  [
    'one that is cached as every GET route is',
    (app) => {
      app.get('/all/:id', done)
      return app.put('/items/:id', done)
    },
    { global: true },
  ],
]

for (const [what, declare, options] of ON) {
  test(`an unsafe request makes the cache forget its target: ${what}`, async (t) => {
    const site = await startSite(t, declare, options === undefined ? {} : { cache: options })
    const send = async (): Promise<void> => {
      assert.equal((await site.client.send('PUT', '/items/1')).text, 'done')
    }
    assert.deepEqual(await site.forgottenBy(send, PATHS), ['/items/1'])
  })
}

const OFF: [what: string, declare: Declare, options?: ResponseCacheOptions][] = [
  ['one with another pattern', (app) => app.put('/items/1', done)],
  [
    'one that the cache stays away from',
    (app) => app.put('/items/:id', { config: { cache: false } }, done),
  ],
  [
    'one that switches it off',
    (app) => app.put('/items/:id', { config: { cache: { invalidateTarget: false } } }, done),
  ],
  [
    'one that switches it off and names tags',
    (app) => {
      const cache = { invalidateTarget: false, invalidates: () => [] }
      return app.put('/items/:id', { config: { cache } }, done)
    },
  ],
  [
    'one where the defaults switch it off',
    (app) => app.put('/items/:id', done),
    { defaults: { ttl: '1h', invalidateTarget: false } },
  ],
]

for (const [what, declare, options] of OFF) {
  test(`an unsafe request makes the cache forget nothing: ${what}`, async (t) => {
    const site = await startSite(t, declare, options === undefined ? {} : { cache: options })
    const send = async (): Promise<void> => {
      assert.equal((await site.client.send('PUT', '/items/1')).text, 'done')
    }
    assert.deepEqual(await site.forgottenBy(send, PATHS), [])
    assert.equal(site.cache.stats().log.seq, 0, 'the log was not asked')
  })
}

test('the cached route may be declared after the one that writes, in another plugin too', async (t) => {
  const site = await startSite(t, (app) => {
    app.put('/later/:id', done)
    app.get('/later/:id', { config: { cache: true } }, done)
    app.register(async (scope) => {
      scope.put('/nested/:id', done)
    })
    app.register(async (scope) => {
      scope.get('/nested/:id', { config: { cache: true } }, done)
    })
  })
  for (const path of ['/later/1', '/nested/1']) {
    const send = (): Promise<unknown> => site.client.send('PUT', path)
    assert.deepEqual(await site.forgottenBy(send, [path]), [path])
  }
})

test('a route of all methods forgets by the unsafe ones, and not by the others', async (t) => {
  const site = await startSite(t, (app) => {
    app.all('/all/*', { config: { cache: true } }, done)
    // Regression: the HEAD route that Fastify makes of it was refused for these options.
    const config = { cache: { invalidateTarget: false, invalidates: ['none'] } }
    app.route({ method: ['GET', 'POST'], url: '/off', config, handler: done })
  })
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    const send = (): Promise<unknown> => site.client.send(method, '/all/1')
    assert.deepEqual(await site.forgottenBy(send, ['/all/1', '/all/2']), ['/all/1'], method)
  }
  for (const [method, path] of [
    ['OPTIONS', '/all/1'],
    ['HEAD', '/all/1'],
    ['POST', '/off'],
  ] as const) {
    const send = (): Promise<unknown> => site.client.send(method, path)
    assert.deepEqual(await site.forgottenBy(send, [path]), [], `${method} ${path}`)
  }
})

test('a write below a registration of its own is seen by the cache above it', async (t) => {
  const site = await startSite(t, (app) => {
    app.register(async (scope) => {
      const inner = { decorateAs: 'inner', defaults: { ttl: '1h' as const } }
      await scope.register(responseCache, inner)
      scope.get('/inner', { config: { cache: true } }, done)
      scope.put('/items/:id', { config: { cache: { invalidates: ['x'] } } }, done)
    })
  })
  const send = (): Promise<unknown> => site.client.send('PUT', '/items/1')
  assert.deepEqual(await site.forgottenBy(send, [...PATHS, '/inner']), ['/items/1'])
})

const WRONG: [cache: unknown, method: string, message: RegExp][] = [
  [{ ttl: 1, invalidateTarget: 'yes' }, 'GET', /invalidateTarget must be true or false, got 'yes'/],
  [{ ttl: 1, invalidateTarget: false }, 'GET', /invalidateTarget has no effect on GET/],
  [{ ttl: 1 }, 'PUT', /has no effect: only GET is cached; use invalidates or invalidateTarget/],
  [true, 'PUT', /has no effect: only GET is cached/],
  [{ invalidateTarget: 1 }, 'PUT', /invalidateTarget must be true or false, got 1/],
]

for (const [cache, method, message] of WRONG) {
  test(`config.cache ${JSON.stringify(cache)} on ${method} is an error that says what to do`, async () => {
    const app = Fastify()
    await app.register(responseCache, { defaults: { ttl: '1h' } })
    const config = { cache: cache as never }
    assert.throws(() => app.route({ method, url: '/x', config, handler: done }), message)
  })
}
