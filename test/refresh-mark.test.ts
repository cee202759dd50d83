import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { describe, it } from 'node:test'

import rateLimit from '@fastify/rate-limit'
import websocket from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'

import { isRefresh } from '../src/index.ts'
import { type RefreshContext, refreshOf } from '../src/refresh-request.ts'
import { markStored, refreshingApp } from './support/refreshing-app.ts'

describe('the mark of a refresh', () => {
  it('is on its request from the first function of the application to the last', async (t) => {
    const seen = new Map<string, RefreshContext | undefined>()
    const note = (place: string, raw: object): void => void seen.set(place, refreshOf(raw))
    const hooks = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
    const lateHooks = ['preSerialization', 'onSend', 'onResponse'] as const
    const { run } = await refreshingApp(
      t,
      (app) => {
        app.setChildLoggerFactory((logger, bindings, options, raw) => {
          note('childLoggerFactory', raw)
          return logger.child(bindings, options)
        })
        for (const hook of [...hooks, ...lateHooks]) {
          app.addHook(hook as 'onRequest', async (request) => note(hook, request.raw))
        }
        app.get('/', async (request) => {
          note('handler', request.raw)
          markStored(request)
          return { fresh: true }
        })
      },
      {
        fastify: {
          rewriteUrl: (raw) => {
            note('rewriteUrl', raw)
            return raw.url!
          },
          genReqId: (raw) => {
            note('genReqId', raw)
            return 'id'
          },
        },
      },
    )
    const context = await run()
    const places = [
      'rewriteUrl',
      'genReqId',
      'childLoggerFactory',
      ...hooks,
      'handler',
      ...lateHooks,
    ]
    assert.deepEqual([...seen.keys()], places)
    for (const [place, found] of seen) assert.equal(found, context, place)
    assert.deepEqual(context, { key: 'key', stored: true })
  })

  it('is on no request of a client, nor on one that its handler makes', async (t) => {
    const seen: [string, boolean, boolean][] = []
    const { run, app } = await refreshingApp(t, (app) => {
      const note = (request: FastifyRequest): void => {
        seen.push([request.url, isRefresh(request), isRefresh(request.raw)])
      }
      app.get('/', async (request) => {
        note(request)
        await app.inject({ url: '/inner', headers: request.headers })
        await app.inject(Object.assign({}, request.raw, { url: '/copied', method: 'GET' }))
        markStored(request)
        return 'outer'
      })
      app.get('/inner', async (request) => note(request))
      app.get('/copied', async (request) => note(request))
    })
    await run()
    const inner = [
      ['/inner', false, false],
      ['/copied', false, false],
    ]
    assert.deepEqual(seen.splice(0), [['/', true, true], ...inner])
    await app.inject({ url: '/', headers: { 'fastify-response-cache.refresh': 'key' } })
    assert.deepEqual(seen, [['/', false, false], ...inner])
  })
})

describe('what an application makes of a refresh', () => {
  it('is a line in the access log, with an id of its own, that can be told', async (t) => {
    const lines: Record<string, unknown>[] = []
    const stream = new Writable({
      write(line: Buffer, _encoding, next): void {
        lines.push(JSON.parse(line.toString()) as Record<string, unknown>)
        next()
      },
    })
    const { run, app } = await refreshingApp(
      t,
      (app) => {
        app.setChildLoggerFactory((logger, bindings, options, raw) =>
          logger.child(isRefresh(raw) ? { ...bindings, cacheRefresh: true } : bindings, options),
        )
        app.get('/page', async (request) => {
          markStored(request)
          return 'fresh'
        })
      },
      { fastify: { logger: { stream }, requestIdHeader: 'x-request-id' } },
    )
    await app.inject({ url: '/page', headers: { 'x-request-id': 'of-the-client' } })
    await run({ url: '/page' })
    const told = lines.map(({ msg, reqId, cacheRefresh }) => [msg, reqId, cacheRefresh])
    assert.deepEqual(told, [
      ['incoming request', 'of-the-client', undefined],
      ['request completed', 'of-the-client', undefined],
      ['incoming request', 'req-1', true],
      ['request completed', 'req-1', true],
    ])
    assert.equal((lines[2]!.req as { remoteAddress: string }).remoteAddress, '192.0.2.1')
  })

  it('is a request of that client to a rate limit: refused, it has failed', async (t) => {
    const { run, start, app, troubles } = await refreshingApp(t, async (app) => {
      await app.register(rateLimit, { max: 2, timeWindow: 60_000 })
      app.get('/', async (request) => {
        markStored(request)
        return 'fresh'
      })
    })
    const askedBy = (remoteAddress: string): Promise<number> =>
      app.inject({ url: '/', remoteAddress }).then(({ statusCode }) => statusCode)
    assert.equal(await askedBy('192.0.2.1'), 200)
    assert.equal((await run()).stored, true)
    assert.equal(await askedBy('192.0.2.1'), 429)
    assert.equal((await run()).stored, undefined)
    assert.match(troubles[0]!, /status 429, nothing was stored$/)
    assert.equal(start(), undefined)
    assert.equal(await askedBy('192.0.2.2'), 200)
  })

  it('is an ordinary GET of a route that has a websocket too', async (t) => {
    let opened = 0
    const { run } = await refreshingApp(t, async (app) => {
      await app.register(websocket)
      app.route({
        method: 'GET',
        url: '/',
        handler: async (request) => {
          markStored(request)
          return 'page'
        },
        wsHandler: () => void opened++,
      })
    })
    const context = await run({ headers: { connection: 'upgrade', upgrade: 'websocket' } })
    assert.equal(context.stored, true)
    assert.equal(opened, 0)
  })

  it('may be any answer: early hints, trailers, a reply that was taken over', async (t) => {
    const { run, troubles } = await refreshingApp(t, (app) => {
      app.addHook('preHandler', async (request) => markStored(request))
      app.get('/hints', async (_request, reply) => {
        reply.raw.writeEarlyHints({ link: '</style.css>; rel=preload; as=style' })
        return 'after hints'
      })
      app.get('/trailers', async (_request, reply) => {
        reply.trailer('x-sum', async () => '42')
        return 'with a trailer'
      })
      app.get('/hijacked', (_request, reply) => {
        reply.hijack()
        reply.raw.write('by')
        reply.raw.end(' itself')
      })
      app.get('/empty', (_request, reply) => reply.code(304).send())
    })
    for (const url of ['/hints', '/trailers', '/hijacked', '/empty']) {
      assert.equal((await run({ url })).stored, true)
    }
    assert.deepEqual(troubles, [])
  })
})
