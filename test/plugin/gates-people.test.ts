// Promise 3 behind real gates: a page made for one person never reaches anybody else, in whichever
// order people come, and whichever hook told who they are.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import basicAuth from '@fastify/basic-auth'
import bearerAuth from '@fastify/bearer-auth'
import jwt from '@fastify/jwt'
import type { FastifyInstance, FastifyRequest } from 'fastify'

import { assertBypass, assertHit, assertStored } from '../support/assert-status.ts'
import { type Client, start } from '../support/app.ts'
import { type Fields, HOOKS, addGuard, basic, cookieOf, registerSessions } from './gates.ts'

type Named = FastifyRequest & { personName?: string }

interface Recognition {
  name: string
  /** Tells people apart, and lets strangers in as strangers. */
  register: (app: FastifyInstance) => Promise<void>
  recognize: (app: FastifyInstance) => (request: FastifyRequest) => Promise<void>
  credentials: (client: Client, person: string) => Promise<Fields>
  /** Why a person's request goes around the cache. */
  reason: string
}

const recognitions: Recognition[] = [
  {
    name: '@fastify/jwt',
    register: async (app) => {
      await app.register(jwt, { secret: 'a secret that is long enough for HS256' })
      app.get('/token/:name', async (request) => app.jwt.sign(request.params as object))
    },
    recognize: () => async (request) => {
      if (request.headers.authorization === undefined) return
      await request.jwtVerify()
      ;(request as Named).personName = (request.user as { name: string }).name
    },
    credentials: async (client, person) => {
      const { text } = await client.get(`/token/${person}`)
      return { authorization: `Bearer ${text}` }
    },
    reason: 'authorization',
  },
  {
    name: '@fastify/basic-auth',
    register: async (app) => {
      await app.register(basicAuth, {
        validate: async (name, _password, request) => {
          ;(request as Named).personName = name
        },
      })
    },
    recognize: (app) => (request) =>
      new Promise((resolve) => {
        if (request.headers.authorization === undefined) resolve()
        else app.basicAuth(request, {} as never, () => resolve())
      }),
    credentials: async (_client, person) => basic(person),
    reason: 'authorization',
  },
  {
    name: '@fastify/bearer-auth',
    register: async (app) => {
      await app.register(bearerAuth, {
        addHook: false,
        keys: new Set<string>(),
        auth: (key, request) => {
          ;(request as Named).personName = key
          return true
        },
      })
    },
    recognize: (app) => (request) =>
      new Promise((resolve) => {
        if (request.headers.authorization === undefined) resolve()
        else app.verifyBearerAuth!(request, {} as never, () => resolve())
      }),
    credentials: async (_client, person) => ({ authorization: `Bearer ${person}` }),
    reason: 'authorization',
  },
  {
    name: '@fastify/session',
    register: async (app) => {
      await registerSessions(app)
      app.get('/login/:name', async (request) => {
        request.session.userName = (request.params as { name: string }).name
        return 'welcome'
      })
    },
    recognize: () => async (request) => {
      const { userName } = request.session ?? {}
      if (userName !== undefined) (request as Named).personName = userName
    },
    credentials: async (client, person) => ({
      cookie: cookieOf(await client.get(`/login/${person}`)),
    }),
    reason: 'cookie',
  },
]

async function startHome(
  t: TestContext,
  recognition: Recognition,
  { hook = 'onRequest', vary = false }: { hook?: (typeof HOOKS)[number]; vary?: boolean } = {},
): Promise<{ client: Client; runs: () => number }> {
  let runs = 0
  const client = await start(t, async (app) => {
    await recognition.register(app)
    addGuard(app, hook, recognition.recognize(app))
    const by = (request: Named): string | undefined => request.personName
    const cache = { ttl: '1h', ...(vary ? { vary: { by } } : {}) }
    app.get('/home', { config: { cache } }, async (request: Named) => {
      runs++
      return `home of ${request.personName ?? 'nobody'}`
    })
  })
  return { client, runs: () => runs }
}

for (const recognition of recognitions) {
  for (const hook of HOOKS) {
    test(`a page made for a person known by ${recognition.name} in ${hook} reaches nobody else`, async (t) => {
      const { client, runs } = await startHome(t, recognition, { hook })
      const ann = await recognition.credentials(client, 'ann')
      const bob = await recognition.credentials(client, 'bob')
      for (let round = 0; round < 2; round++) {
        const ofAnn = await client.get('/home', ann)
        assert.equal(ofAnn.text, 'home of ann')
        assertBypass(ofAnn, recognition.reason)
        assert.equal((await client.get('/home', bob)).text, 'home of bob')
        assert.equal((await client.get('/home')).text, 'home of nobody')
      }
      assert.equal(runs(), 5, 'only the second stranger was answered from the cache')
      assertHit(await client.get('/home'))
    })
  }

  test(`with vary.by each person known by ${recognition.name} gets an own page from the cache`, async (t) => {
    const { client, runs } = await startHome(t, recognition, { vary: true })
    const ann = await recognition.credentials(client, 'ann')
    const bob = await recognition.credentials(client, 'bob')
    const visits: [Fields, string][] = [
      [ann, 'home of ann'],
      [bob, 'home of bob'],
      [{}, 'home of nobody'],
    ]
    for (const [headers, body] of visits) {
      const answer = await client.get('/home', headers)
      assert.equal(answer.text, body)
      assertStored(answer)
    }
    for (const [headers, body] of visits) {
      const answer = await client.get('/home', headers)
      assert.equal(answer.text, body)
      assertHit(answer)
    }
    assert.equal(runs(), 3)
  })
}

test('people who ask at the same time each get their own page', async (t) => {
  for (const recognition of recognitions) {
    for (const vary of [false, true]) {
      const { client } = await startHome(t, recognition, { vary })
      const names = ['ann', 'bob', 'eve', 'nobody']
      const credentials = await Promise.all(
        names.map(async (name) => (name === 'nobody' ? {} : recognition.credentials(client, name))),
      )
      const asked = Array.from({ length: 20 }, (_, index) => index % names.length)
      const pages = await Promise.all(asked.map((who) => client.get('/home', credentials[who])))
      assert.deepEqual(
        pages.map(({ text }) => text),
        asked.map((who) => `home of ${names[who]}`),
        recognition.name,
      )
    }
  }
})
