// What subscribers of the tracing channels see, and that their being there changes no answer.
import assert from 'node:assert/strict'
import { AsyncLocalStorage } from 'node:async_hooks'
import { tracingChannel } from 'node:diagnostics_channel'
import { type TestContext, test } from 'node:test'

import { eventually } from '../support/app.ts'
import { overRedis } from '../support/tiers.ts'
import { startScene } from './stale.ts'

const NAMES = ['lookup', 'store', 'invalidate', 'handler'] as const
type Event = [event: string, trace: Record<string, unknown>]

/** Everything that is published from here on, as `lookup.start`. */
function listen(t: TestContext): { names: () => string[]; of: (event: string) => Event[1][] } {
  const seen: Event[] = []
  for (const name of NAMES) {
    const channel = tracingChannel<unknown, object>(`fastify-response-cache:${name}`)
    const handlers = Object.fromEntries(
      ['start', 'end', 'asyncStart', 'asyncEnd', 'error'].map((event) => [
        event,
        (trace: object) => void seen.push([`${name}.${event}`, { ...trace }]),
      ]),
    )
    channel.subscribe(handlers as never)
    t.after(() => channel.unsubscribe(handlers as never))
  }
  return {
    names: () => seen.map(([event]) => event),
    of: (event) => seen.filter(([name]) => name === event).map(([, trace]) => trace),
  }
}

test('a miss is a lookup, a handler run and a store; a hit is a lookup', async (t) => {
  const events = listen(t)
  const scene = await startScene(t)
  assert.equal((await scene.get()).text, 'run 1')
  await eventually(() => events.of('store.asyncEnd').length === 1, 'the store has ended')
  const base = { namespace: scene.cache.stats().namespace, route: '/x' }
  assert.equal(events.of('lookup.end')[0]!['state'], 'none')
  const [handler] = events.of('handler.asyncEnd')
  assert.deepEqual(handler, { ...base, reason: 'uri-miss', refresh: false })
  const [stored] = events.of('store.asyncEnd')
  assert.equal(stored!['stored'], true)
  assert.equal(stored!['bytes'], 5)
  assert.ok((stored!['tags'] as string[]).includes('t:=x'))
  const before = events.names().length
  assert.equal((await scene.get()).text, 'run 1')
  assert.deepEqual(events.names().slice(before), ['lookup.start', 'lookup.end'])
  const last = events.of('lookup.end').at(-1)!
  assert.deepEqual(last, {
    ...base,
    key: stored!['key'],
    sync: true,
    state: 'fresh',
    tier: 'memory',
  })
})

test('a lookup in Redis ends when it has answered', async (t) => {
  const scene = await startScene(t, { cache: await overRedis({ memory: false }) })
  await scene.get()
  await scene.written()
  const events = listen(t)
  await scene.get()
  const [asked] = events.of('lookup.asyncEnd')
  assert.deepEqual([asked!['state'], asked!['tier'], asked!['sync']], ['fresh', 'redis', false])
  assert.equal(events.of('handler.start').length, 0)
})

test('an invalidation tells its tags and its mode', async (t) => {
  const events = listen(t)
  const scene = await startScene(t)
  await scene.cache.invalidateTags(['x'], { mode: 'soft' })
  const [trace] = events.of('invalidate.asyncEnd')
  assert.deepEqual([trace!['tags'], trace!['mode'], trace!['error']], [['t:=x'], 'soft', undefined])
})

test('a handler that fails tells its error, and its client gets what it got before', async (t) => {
  const events = listen(t)
  const scene = await startScene(t, {
    answer: () => {
      throw new Error('no database')
    },
  })
  assert.equal((await scene.get()).status, 500)
  assert.equal((events.of('handler.error')[0]!['error'] as Error).message, 'no database')
  assert.equal(events.of('handler.asyncEnd').length, 1)
})

test('handlers without a promise answer as they do, and are over with their answer', async (t) => {
  const events = listen(t)
  const scene = await startScene(t, {
    build: (app) => {
      app.get('/later', { config: { cache: { ttl: 10 } } }, (_request, reply) => {
        setImmediate(() => void reply.send('later'))
      })
      app.get('/now', { config: { cache: { ttl: 10 } } }, (_request, reply) => reply.send('now'))
      app.get('/throws', { config: { cache: { ttl: 10 } } }, () => {
        throw new Error('at once')
      })
    },
  })
  assert.equal((await scene.client.get('/later')).text, 'later')
  await eventually(() => events.of('handler.asyncEnd').length === 1, 'it is over')
  assert.equal((await scene.client.get('/now')).text, 'now')
  await eventually(() => events.of('handler.asyncEnd').length === 2, 'that one, too')
  assert.deepEqual(
    events
      .names()
      .filter((name) => name.startsWith('handler.'))
      .slice(-4),
    [...['handler.start', 'handler.end', 'handler.asyncStart', 'handler.asyncEnd']],
  )
  assert.equal((await scene.client.get('/throws')).status, 500)
  assert.equal((events.of('handler.error')[0]!['error'] as Error).message, 'at once')
  assert.equal((await scene.get({ cookie: 'sid=1' })).text, 'run 1')
  assert.equal(events.of('handler.start').at(-1)!['reason'], 'bypass')
})

test('a store that is bound to the channel is there in the handler', async (t) => {
  const store = new AsyncLocalStorage<string>()
  const { start } = tracingChannel<string, { route: string }>('fastify-response-cache:handler')
  start.bindStore(store, ({ route }) => `span of ${route}`)
  t.after(() => start.unbindStore(store))
  const scene = await startScene(t, { answer: () => store.getStore() })
  assert.equal((await scene.get()).text, 'span of /x')
})
