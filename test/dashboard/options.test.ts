import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import dashboard, { type DashboardOptions } from '../../src/dashboard/index.ts'
import responseCache from '../../src/index.ts'

const guard = async (): Promise<void> => undefined

async function register(t: TestContext, options: unknown): Promise<FastifyInstance> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, { defaults: { ttl: '1m' } })
  await app.register(dashboard, options as DashboardOptions)
  return app
}

describe('The dashboard does not start', () => {
  const UNGUARDED =
    /^dashboard\.onRequest is missing: .* onRequest: app\.basicAuth .*unprotected: true$/
  const WRONG: [options: unknown, complaint: RegExp][] = [
    [{}, UNGUARDED],
    // A decorator of a plugin that has not loaded yet.
    [{ onRequest: undefined }, UNGUARDED],
    [{ onRequest: [] }, UNGUARDED],
    [{ onRequest: [undefined] }, UNGUARDED],
    [{ unprotected: false }, UNGUARDED],
    [{ unprotected: 1 }, /^dashboard\.unprotected must be true or false, got 1$/],
    [{ onRequest: guard, unprotected: true }, /^dashboard\.unprotected is true and .* leave one/],
    [{ onRequest: 'basicAuth' }, /^dashboard\.onRequest must be a hook or a list .*'basicAuth'$/],
    [{ onRequest: [guard, null] }, /^dashboard\.onRequest must be a hook or a list of hooks/],
    [{ onRequests: guard }, /^dashboard\.onRequests is not an option; did you mean 'onRequest'\?$/],
    [
      { unprotected: true, intervalMs: 249 },
      /^dashboard\.intervalMs must be .* 250 .* 60000, got 249/,
    ],
    [{ unprotected: true, intervalMs: 60_001 }, /got 60001$/],
    [
      { unprotected: true, readOnly: 'yes' },
      /^dashboard\.readOnly must be true or false, got 'yes'/,
    ],
    [{ unprotected: true, origins: 'https://a.example' }, /^dashboard\.origins must be a list/],
    [
      { unprotected: true, origins: ['a.example'] },
      /^dashboard\.origins must be a list of origins/,
    ],
    [{ unprotected: true, origins: ['https://a.example/'] }, /without a path, got \['https:/],
    [
      { unprotected: true, origins: ['file:///a'] },
      /^dashboard\.origins must be a list of origins/,
    ],
    [{ unprotected: true, origins: ['null'] }, /^dashboard\.origins must be a list of origins/],
    [
      { unprotected: true, caches: {} },
      /^dashboard\.caches must be a cache client, such as app\.cache/,
    ],
    [
      { unprotected: true, caches: { one: { stats() {} } } },
      /^dashboard\.caches must be a cache client/,
    ],
    [{ unprotected: true, caches: 'cache' }, /^dashboard\.caches must be a cache client.*'cache'$/],
  ]
  for (const [options, complaint] of WRONG) {
    it(`with ${JSON.stringify(options, (_key, value: unknown) => (typeof value === 'function' ? 'a hook' : value))}, and says why: ${complaint.source.slice(0, 60)}`, async (t) => {
      await assert.rejects(register(t, options), {
        code: 'FST_RESPONSE_CACHE_INVALID_OPTION',
        message: complaint,
      })
    })
  }

  it('where there is no cache', async (t) => {
    const app = Fastify()
    t.after(() => app.close())
    await assert.rejects(async () => app.register(dashboard, { unprotected: true }), {
      code: 'FST_RESPONSE_CACHE_INVALID_OPTION',
      message: /^dashboard\.caches is missing, and there is no app\.cache: await the registration/,
    })
  })
})

describe('The dashboard starts', () => {
  it('with one hook, with several, and without any where that is said', async (t) => {
    const fine: DashboardOptions[] = [
      { onRequest: guard },
      { onRequest: [guard, (_request, _reply, done) => done()] },
      { onRequest: guard, unprotected: false },
      { unprotected: true, intervalMs: 250, readOnly: true, origins: ['https://a.example:8443'] },
    ]
    for (const options of fine) {
      const app = await register(t, { prefix: '/d', ...options })
      assert.equal((await app.inject('/d/')).statusCode, 200)
    }
  })

  it('on a server of its own, and there at its root', async (t) => {
    const app = await register(t, { onRequest: guard, prefix: '/unused' })
    const own = Fastify()
    t.after(() => own.close())
    await own.register(dashboard, { unprotected: true, caches: app.cache })
    assert.match((await own.inject('/')).body, /^<!doctype html>/)
    const state = (await own.inject({ url: '/api/state', headers: { host: 'localhost' } })).json()
    assert.deepEqual([state.caches, state.cache], [['cache'], 'cache'])
    // What the application answers elsewhere is its own.
    assert.match((await own.inject('/other')).json().message, /^Route GET:\/other not found$/)
  })
})
