// Promise 4: a response that looks private, or that is no plain whole answer, is never stored.
import { Readable } from 'node:stream'

import cookie from '@fastify/cookie'
import session from '@fastify/session'

import { type Unstorable, testUnstorable } from './unstorable.ts'

const cookies: Unstorable[] = [
  {
    title: 'an answer on which the handler set a cookie',
    reason: 'set-cookie',
    handler: (_request, reply) => reply.header('set-cookie', 'id=1').send('page'),
  },
  {
    title: 'an answer on which the handler set a cookie with @fastify/cookie',
    reason: 'set-cookie',
    before: (app) => app.register(cookie),
    handler: (_request, reply) => reply.setCookie('id', '1').send('page'),
  },
  {
    title: 'an answer on which @fastify/cookie, registered after the cache, set a cookie',
    reason: 'set-cookie',
    after: (app) => app.register(cookie),
    handler: async (_request, reply) => {
      reply.setCookie('id', '1')
      return { page: 1 }
    },
  },
  {
    title: 'an answer on which a later registered onSend hook set a cookie',
    reason: 'set-cookie',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.header('set-cookie', ['a=1', 'b=2'])
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer on which a hook before the handler set a cookie',
    reason: 'set-cookie',
    late: (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('set-cookie', 'a=1')
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer whose raw response got a cookie from the handler',
    reason: 'set-cookie',
    handler: async (_request, reply) => {
      reply.raw.setHeader('Set-Cookie', 'a=1')
      return 'page'
    },
  },
  {
    title: 'an answer whose raw response got a cookie from an onSend hook',
    reason: 'set-cookie',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.raw.setHeader('Set-Cookie', 'a=1')
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer that starts a session of @fastify/session',
    reason: 'set-cookie',
    after: async (app) => {
      await app.register(cookie)
      await app.register(session, {
        secret: 'a secret with the minimum length of 32 characters',
        cookie: { secure: false },
      })
    },
    handler: async () => 'page',
    varying: ['set-cookie'],
  },
  {
    title: 'an answer that sets a cookie on a public route',
    reason: 'set-cookie',
    cache: { public: true },
    handler: (_request, reply) => reply.header('set-cookie', 'id=1').send('page'),
  },
]

const directives: Unstorable[] = []
for (const [field, reason] of [
  ['private', 'private'],
  ['private, max-age=60', 'private'],
  ['max-age=60, PRIVATE', 'private'],
  ['private="x-user"', 'private'],
  ['no-store', 'no-store'],
  ['public, no-store', 'no-store'],
  ['no-cache', 'no-cache'],
  ['no-cache=set-cookie', 'no-cache'],
  ['x="a, b", no-store', 'no-store'],
] as const) {
  directives.push({
    title: `an answer with Cache-Control: ${field}`,
    reason,
    handler: (_request, reply) => reply.header('cache-control', field).send('page'),
  })
}
directives.push(
  {
    title: 'an answer to which a hook before the handler said no-store',
    reason: 'no-store',
    late: (app) =>
      app.addHook('onRequest', async (_request, reply) => {
        reply.header('cache-control', 'no-store')
      }),
    handler: async () => 'page',
  },
  {
    title: 'an answer to which an onSend hook said private',
    reason: 'private',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.header('cache-control', 'private')
      }),
    handler: async () => ({ page: 1 }),
  },
  {
    title: 'an answer to which an onSend hook said private on the raw response',
    reason: 'private',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.raw.setHeader('Cache-Control', 'private')
      }),
    handler: async () => ({ page: 1 }),
  },
)

const varied: Unstorable[] = []
for (const field of ['*', 'accept, *', 'cookie', 'x-segment, Authorization', 'X-Api-Key']) {
  varied.push({
    title: `an answer that varies on ${field}, which is not in the key,`,
    reason: 'vary',
    cache: { vary: { headers: ['x-segment'] } },
    handler: (_request, reply) => reply.header('vary', field).send('page'),
  })
}
for (const field of ['*', 'Cookie', 'origin, authorization']) {
  varied.push({
    title: `an answer that a hook varies on ${field}`,
    reason: 'vary',
    late: (app) =>
      app.addHook('onSend', async (_request, reply) => {
        reply.header('vary', field)
      }),
    handler: async () => 'page',
  })
}

for (const hook of ['onRequest', 'preHandler'] as const) {
  varied.push({
    title: `an answer that a hook in ${hook} varies on a credential`,
    reason: 'vary',
    late: (app) =>
      app.addHook(hook, async (_request, reply) => {
        reply.header('vary', 'X-Api-Key')
      }),
    handler: async () => 'page',
  })
}

const incomplete: Unstorable[] = [
  {
    title: 'a stream of events',
    reason: 'stream',
    handler: (_request, reply) =>
      reply.type('text/event-stream').send(Readable.from(['data: a\n\n', 'data: b\n\n'])),
  },
  {
    title: 'a web Response with a cookie',
    reason: 'set-cookie',
    handler: (_request, reply) =>
      reply.send(new Response('page', { headers: { 'set-cookie': 'a=1' } })),
  },
  {
    title: 'a web Response with a status of its own',
    reason: 'status',
    handler: async () => new Response('page', { status: 203, headers: { 'x-own': 'yes' } }),
  },
  {
    title: 'a hijacked answer with a raw end',
    reason: 'incomplete',
    handler: (_request, reply) => {
      reply.hijack()
      reply.raw.end('raw')
    },
  },
  {
    title: 'a hijacked answer with writeHead and fields',
    reason: 'incomplete',
    handler: async (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(201, 'Made', { 'content-type': 'text/plain', 'x-own': ['a', 'b'] })
      reply.raw.write('ra')
      reply.raw.end('w')
    },
  },
  {
    title: 'a hijacked answer with writeHead and a flat list of fields',
    reason: 'incomplete',
    handler: (_request, reply) => {
      reply.hijack()
      reply.raw.writeHead(200, ['content-type', 'text/plain', 'x-own', 'a'] as never)
      reply.raw.end('raw')
    },
  },
  {
    title: 'an answer written to the raw response without hijack',
    reason: 'incomplete',
    handler: async (_request, reply) => {
      reply.raw.setHeader('x-own', 'yes')
      reply.raw.write('ra')
      reply.raw.end('w')
      return reply
    },
  },
  {
    title: 'an answer with trailers',
    reason: 'trailer',
    handler: (_request, reply) => {
      reply.trailer('x-sum', async () => '42')
      return reply.send('page')
    },
  },
  {
    title: 'an answer that the handler encoded',
    reason: 'content-encoding',
    handler: (_request, reply) =>
      reply.header('content-encoding', 'gzip').send(Buffer.from('bytes')),
  },
  {
    title: 'an answer without a media type',
    reason: 'content-type',
    handler: (_request, reply) => reply.serializer(() => 'bytes').send({ an: 'object' }),
  },
  {
    title: 'an answer that echoes the Origin of its request',
    reason: 'origin',
    headers: { origin: 'https://a.example' },
    handler: (request, reply) =>
      reply.header('access-control-allow-origin', request.headers.origin).send('page'),
  },
]

for (const kind of [...cookies, ...directives, ...varied, ...incomplete]) testUnstorable(kind)
