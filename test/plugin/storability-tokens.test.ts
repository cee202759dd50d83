// Promise 4, the hard part: bodies that carry something made for one response only, and answers that
// a hook or a wrong header turns into something else on their way out.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import cookie from '@fastify/cookie'
import csrfProtection from '@fastify/csrf-protection'
import helmet from '@fastify/helmet'
import type { FastifyReply } from 'fastify'

import { assertHit, assertNotStored, assertStored, statusOf } from '../support/assert-status.ts'
import { start, startBoth } from '../support/app.ts'
import { cookieOf, registerSessions } from './gates.ts'
import { testUnstorable } from './unstorable.ts'

function nonceOf(policy: unknown): string | undefined {
  return /script-src [^;]*'nonce-([0-9a-f]+)'/.exec(String(policy))?.[1]
}

for (const when of ['before', 'after'] as const) {
  test(`a page with the CSP nonce of a helmet registered ${when} the cache is made anew each time`, async (t) => {
    const client = await start(
      t,
      async (app) => {
        if (when === 'after') await app.register(helmet, { enableCSPNonces: true })
        app.get('/html', { config: { cache: { public: true } } }, async (_request, reply) => {
          return reply.type('text/html').send(`<script nonce="${reply.cspNonce.script}">1</script>`)
        })
        app.get('/header', { config: { cache: true } }, async (_request, reply) => {
          void reply.header('x-nonce', `n-${reply.cspNonce.style}`)
          return 'nonce in a field'
        })
        app.get('/json', { config: { cache: true } }, async (_request, reply) => ({
          nonce: reply.cspNonce.script,
        }))
        app.get('/plain', { config: { cache: true } }, async () => 'no nonce')
      },
      when === 'before' ? { before: (app) => app.register(helmet, { enableCSPNonces: true }) } : {},
    )
    for (const path of ['/html', '/json', '/html']) {
      const page = await client.get(path)
      assertNotStored(page, 'nonce')
      const nonce = nonceOf(page.headers['content-security-policy'])
      assert.ok(
        nonce !== undefined && page.text.includes(nonce),
        `${page.text} has the nonce ${nonce}`,
      )
    }
    assertNotStored(await client.get('/header'), 'nonce')
    // Without a nonce in it the page is stored, and each response has a policy of its own.
    const miss = await client.get('/plain')
    assertStored(miss)
    const hit = await client.get('/plain')
    assertHit(hit)
    const [first, second] = [miss, hit].map(({ headers }) =>
      nonceOf(headers['content-security-policy']),
    )
    assert.ok(first && second && first !== second, `${first} and ${second}`)
  })
}

// The user has the secret already, so no cookie goes with the answer and only the token is private.
const CSRF = [
  ['the handler makes', 'handler'],
  ['a hook before the handler makes', 'preHandler'],
  ['an early hook makes', 'onRequest'],
] as const

for (const [who, place] of CSRF) {
  for (const store of ['cookie', 'session'] as const) {
    test(`a page with a CSRF token that ${who}, with the secret in a ${store}, is not stored`, async (t) => {
      const client = await start(t, async (app) => {
        if (store === 'session') await registerSessions(app)
        else await app.register(cookie)
        await app.register(csrfProtection, { sessionPlugin: `@fastify/${store}` })
        app.get('/secret', async (_request, reply) => reply.generateCsrf())
        app.decorateReply('token', '')
        const make = async (_request: unknown, reply: FastifyReply): Promise<void> => {
          Object.assign(reply, { token: reply.generateCsrf() })
        }
        app.get('/form', {
          config: { cache: { public: true } },
          ...(place === 'handler' ? {} : { [place]: make }),
          handler: async (_request, reply) => {
            if (place === 'handler') await make(undefined, reply)
            return `<input value="${(reply as unknown as { token: string }).token}">`
          },
        })
      })
      const own = { cookie: cookieOf(await client.get('/secret')) }
      const other = { cookie: cookieOf(await client.get('/secret')) }
      assert.notEqual(own.cookie, other.cookie)
      const first = await client.get('/form', own)
      assertNotStored(first, 'csrf-token')
      assert.notEqual((await client.get('/form', other)).text, first.text)
    })
  }
}

test('reply.generateCsrf still gives tokens that the protection accepts', async (t) => {
  const client = await start(t, async (app) => {
    await app.register(cookie)
    await app.register(csrfProtection)
    app.get('/form', { config: { cache: { public: true } } }, async (_request, reply) =>
      reply.generateCsrf(),
    )
    app.post('/form', { onRequest: app.csrfProtection.bind(app) }, async () => 'accepted')
  })
  const form = await client.get('/form')
  const headers = { cookie: cookieOf(form), 'csrf-token': form.text }
  assert.equal((await client.send('POST', '/form', { headers })).text, 'accepted')
})

testUnstorable({
  title: 'an answer with a header value that the handler may not send',
  // Fastify answers such an error without any of the headers.
  reason: undefined,
  handler: (_request, reply) => reply.header('x-bad', 'a\nb').send('page'),
})

testUnstorable({
  title: 'an answer with a header name that the handler may not send',
  reason: undefined,
  handler: (_request, reply) => reply.header('x bad', 'a').send('page'),
})

for (const async of [false, true]) {
  // The headers cannot be written, so what goes out is an error and nothing is kept.
  test(`a header that ${async ? 'an async' : 'a'} hook made invalid never leads to a status that says stored`, async (t) => {
    let runs = 0
    let stats!: () => { misses: number; stored: number }
    const { cached, plain } = await startBoth(t, (app) => {
      if (app.hasDecorator('cache')) stats = () => app.cache.stats()
      if (async) {
        app.addHook('onSend', async (_request, reply) => {
          if (reply.statusCode === 200) reply.header('x-bad', 'a\nb')
          else reply.removeHeader('x-bad')
        })
      } else {
        app.addHook('onSend', (_request, reply, _payload, done) => {
          if (reply.statusCode === 200) reply.header('x-bad', 'a\nb')
          else reply.removeHeader('x-bad')
          done()
        })
      }
      app.get('/x', { config: { cache: true } }, (_request, reply) => {
        runs++
        reply.send('page')
      })
    })
    const expected = await plain.get('/x')
    runs = 0
    for (let visit = 1; visit <= 2; visit++) {
      const answer = await cached.get('/x')
      assert.deepEqual([answer.status, answer.text], [expected.status, expected.text])
      assert.equal(runs, visit)
      if (answer.headers['cache-status'] !== undefined)
        assert.notEqual(statusOf(answer).stored, true)
      const { misses, stored } = stats()
      assert.deepEqual([misses, stored], [visit, 0], 'each counts once, as what it was')
    }
  })
}

// Regression: the type that a hook gave one client was stored with the body that the handler gave.
test('a hook that converts for one client does not change what others get', async (t) => {
  for (const firstAccept of ['text/html', 'application/json']) {
    const { cached, plain } = await startBoth(t, (app) => {
      app.addHook('onSend', async (request, reply, payload) => {
        if (request.headers.accept !== 'text/html') return payload
        void reply.type('text/html')
        return `<pre>${String(payload)}</pre>`
      })
      app.get('/object', { config: { cache: true } }, async () => ({ name: '<script>' }))
      app.get('/text', { config: { cache: true } }, async () => '<script>')
      app.get('/typed', { config: { cache: true } }, (_request, reply) => {
        reply.type('text/csv').send('a,b')
      })
      app.get('/bytes', { config: { cache: true } }, async () => Buffer.from('bytes'))
    })
    for (const path of ['/object', '/text', '/typed', '/bytes']) {
      assertStored(await cached.get(path, { accept: firstAccept }))
      for (const accept of ['application/json', 'text/html', 'application/json']) {
        const [answer, expected] = [
          await cached.get(path, { accept }),
          await plain.get(path, { accept }),
        ]
        assert.deepEqual(
          [answer.headers['content-type'], answer.text],
          [expected.headers['content-type'], expected.text],
          `${path} for ${accept}, filled by a client that accepts ${firstAccept}`,
        )
        assertHit(answer)
      }
    }
  }
})
