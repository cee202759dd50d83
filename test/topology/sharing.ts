// One scenario for every topology and every set of options: two applications, each with connections
// of its own, share what is stored; what one invalidates the other forgets.
import assert from 'node:assert/strict'
import type { EventEmitter } from 'node:events'
import type { TestContext } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import type { RedisClient } from '../../src/store/redis-guard.ts'
import { eventually } from '../support/clock.ts'

export type Given = NonNullable<ResponseCacheOptions['redis']>

export interface Arrangement {
  /** For each application: its own options, or its own client. */
  redis: () => Given
  /** Cuts the connections of all clients. */
  cut: () => Promise<unknown>
  namespace?: string
  /** The clients have no limit that a slow machine might reach. @default true */
  isPatient?: boolean
  options?: ResponseCacheOptions
}

export interface Site {
  readonly app: FastifyInstance
  readonly get: (url: string) => Promise<{ version: number; status: string }>
  readonly put: (id: string) => Promise<void>
}

let namespaces = 0

/** An application over a "database" that all applications of a test have in common. */
export async function openSite(
  t: TestContext,
  versions: Map<string, number>,
  options: ResponseCacheOptions,
): Promise<Site> {
  const app = Fastify()
  t.after(() => app.close())
  await app.register(responseCache, { deadlineMs: 5000, defaults: { ttl: '1h' }, ...options })
  const tagged = { tags: (request: { params: unknown }) => [`item:${idOf(request)}`] }
  const read = async (request: { params: unknown }) => ({
    version: versions.get(idOf(request)) ?? 0,
  })
  app.get('/item/:id', { config: { cache: tagged } }, read)
  app.get('/strict/:id', { config: { cache: { ...tagged, consistency: 'strict' } } }, read)
  app.put(
    '/item/:id',
    { config: { cache: { invalidates: (request) => [`item:${idOf(request)}`] } } },
    async (request) => {
      const version = (versions.get(idOf(request)) ?? 0) + 1
      versions.set(idOf(request), version)
      return { version }
    },
  )
  await app.ready()
  return {
    app,
    get: async (url) => {
      const answer = await app.inject(url)
      assert.equal(answer.statusCode, 200)
      return {
        version: answer.json<{ version: number }>().version,
        status: String(answer.headers['cache-status']),
      }
    },
    put: async (id) => {
      assert.equal((await app.inject({ method: 'PUT', url: `/item/${id}` })).statusCode, 200)
    },
  }
}

function idOf(request: { params: unknown }): string {
  return (request.params as { id: string }).id
}

export function listenersOf(emitter: EventEmitter): Record<string, number> {
  const names = emitter.eventNames().map(String).sort()
  return Object.fromEntries(names.map((name) => [name, emitter.listenerCount(name)]))
}

/** Fails unless the arrangement does all that is promised of one. */
export async function shares(t: TestContext, arrangement: Arrangement): Promise<void> {
  const { redis, cut, namespace = `topology${++namespaces}`, options = {} } = arrangement
  const [first, second] = [redis(), redis()]
  const users = [first, second].filter(isUserClient)
  for (const user of users) await connected(user)
  const listeners = users.map(listenersOf)
  const versions = new Map([['1', 1]])
  const open = (given: Given): Promise<Site> =>
    openSite(t, versions, { redis: given, namespace, ...options })
  const [one, two] = [await open(first), await open(second)]
  for (const { app } of [one, two]) {
    await eventually('the log is loaded', () => app.cache.stats().log.verified)
  }

  await sharesAnswers(one, two)
  await confirmsStrictly(one, two)
  if (arrangement.isPatient ?? true) {
    for (const { app } of [one, two]) assert.deepEqual(app.cache.stats().failures, {})
  }

  await cut()
  await eventually('an invalidation is confirmed after the cut', () =>
    one.app.cache.invalidateTags(['item:1']).then(
      () => true,
      () => false,
    ),
  )
  await eventually('hits again', async () => {
    await one.get('/strict/1')
    return (await two.get('/strict/1')).status.includes('; hit')
  })
  await one.put('1')
  await eventually(
    'the other sees it',
    async () => (await two.get('/item/1')).version === versions.get('1'),
  )

  await Promise.all([one.app.close(), two.app.close()])
  for (const [at, user] of users.entries()) {
    assert.equal(await user.ping(), 'PONG')
    assert.deepEqual(listenersOf(user), listeners[at])
    user.disconnect()
  }
}

async function sharesAnswers(one: Site, two: Site): Promise<void> {
  const before = two.app.cache.stats().hitsByTier.redis
  let n = 0
  // Storing is not waited for by the answer.
  await eventually('what one stored is a hit in the other', async () => {
    const url = `/item/other${n++}`
    assert.match((await one.get(url)).status, /fwd=uri-miss; stored/)
    await two.get(url)
    return two.app.cache.stats().hitsByTier.redis > before
  })
  assert.equal((await two.get('/item/1')).version, 1)
  await one.put('1')
  assert.equal((await one.get('/item/1')).version, 2)
  await eventually('the other sees it', async () => (await two.get('/item/1')).version === 2)
}

async function confirmsStrictly(one: Site, two: Site): Promise<void> {
  for (let version = 3; version < 6; version++) {
    await eventually('a strict hit', async () => {
      await one.get('/strict/1')
      return (await two.get('/strict/1')).status.includes('; hit')
    })
    await one.put('1')
    assert.equal((await two.get('/strict/1')).version, version)
  }
}

function isUserClient(given: unknown): given is RedisClient {
  return typeof (given as { ping?: unknown }).ping === 'function'
}

async function connected(user: RedisClient): Promise<void> {
  user.on('error', () => {})
  if (user.status === 'wait') return
  await eventually('the client of the user is connected', () => user.status === 'ready')
}
