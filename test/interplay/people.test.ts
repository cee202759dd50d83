// Plugins that know who asks: cookies, sessions, tokens, gates. Whoever is known gets what the plain
// application says, before and after strangers have filled the cache, with GET, HEAD and conditions.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import auth from '@fastify/auth'
import cookie from '@fastify/cookie'
import csrfProtection from '@fastify/csrf-protection'
import jwt from '@fastify/jwt'
import session from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Answer, Client } from '../support/app.ts'
import { cookieOf } from '../plugin/gates.ts'
import {
  type Answered,
  type Fields,
  type Neighbour,
  ORDERS,
  type Visit,
  assertNeverServed,
  assertServed,
  compare,
  course,
  essenceOf,
} from './course.ts'

const SECRET = 'a secret with the minimum length of 32 characters'

/** Sessions and tokens have random names: what counts is which of them an answer sets. */
function withoutSecrets(answer: Answer): unknown {
  const { headers, ...rest } = essenceOf(answer)
  const { 'set-cookie': cookies, ...others } = headers as { 'set-cookie'?: string[] }
  const attributes = cookies?.map((line) =>
    line.replace(/=[^;]*/, '=…').replace(/expires=[^;]*/i, 'Expires=…'),
  )
  const body = rest.body.replace(/token=[\w.-]+/, 'token=…')
  return { ...rest, body, headers: { ...others, cookies: attributes } }
}

function visitors(path: string, credentials: Fields[]): Visit[] {
  const strangers = course(path)
  // Known people come first, and after the strangers, whose page is stored by then.
  const known = credentials.flatMap((fields) => course(path, fields))
  return [...known, ...strangers, ...known, ...strangers]
}

/** Refused by a gate; @fastify/etag has a tag for refusals too, and answers 304 to who knows it. */
function refusals(answered: Answered[]): Set<Answered> {
  const asked = ({ visit }: Answered): string => `${visit.path} ${JSON.stringify(visit.fields)}`
  const refused = new Set(
    answered.filter(({ expected }) => expected.status >= 400).map((each) => asked(each)),
  )
  return new Set(answered.filter((each) => refused.has(asked(each))))
}

function assertKnownWentAround(answered: Answered[]): void {
  const refused = refusals(answered)
  for (const each of answered) {
    if (refused.has(each)) assert.equal(each.told, undefined)
    else if (Object.keys(each.visit.fields ?? {}).length > 0) {
      assert.equal(each.told?.fwd, 'bypass', JSON.stringify(each.visit))
    }
  }
  const strangers = answered.filter(({ visit }) => Object.keys(visit.fields ?? {}).length === 0)
  assertServed(strangers, 1)
}

async function registerSession(
  app: FastifyInstance,
  options: Partial<Parameters<typeof session>[1]> = {},
): Promise<void> {
  await app.register(cookie)
  await app.register(session, {
    secret: SECRET,
    cookie: { secure: false },
    saveUninitialized: false,
    rolling: false,
    ...options,
  })
}

function declareHome(app: FastifyInstance): void {
  app.get('/login/:name', async (request) => {
    request.session.userName = (request.params as { name: string }).name
    return 'welcome'
  })
  app.get(
    '/home',
    { config: { cache: true } },
    async ({ session }) => `home of ${session.userName ?? 'nobody'}`,
  )
}

async function sessionsOf(client: Client, names: string[]): Promise<Fields[]> {
  const logins = names.map((name) => client.get(`/login/${name}`))
  return (await Promise.all(logins)).map((answer) => ({ cookie: cookieOf(answer) }))
}

const known: Neighbour[] = [
  {
    name: '@fastify/cookie',
    register: (app) => app.register(cookie, { secret: SECRET }),
    declare: (app) =>
      app.get('/home', { config: { cache: true } }, async ({ cookies }) => ({ cookies })),
    visits: () => visitors('/home', [{ cookie: 'name=ann' }, { cookie: 'name=bob; theme=dark' }]),
  },
  {
    name: '@fastify/session',
    register: registerSession,
    declare: declareHome,
    visits: async (client) => visitors('/home', await sessionsOf(client, ['ann', 'bob'])),
    essence: withoutSecrets,
  },
  {
    name: '@fastify/jwt',
    register: (app) => app.register(jwt, { secret: SECRET }),
    declare: (app) => {
      app.get('/token/:name', async ({ params }) => app.jwt.sign(params as object))
      const onRequest = async (request: FastifyRequest): Promise<void> => {
        if (request.headers.authorization !== undefined) await request.jwtVerify()
      }
      app.get('/home', { onRequest, config: { cache: true } }, async (request) => {
        const user = request.user as { name: string } | undefined
        return { home: user?.name ?? 'nobody' }
      })
    },
    visits: async (client) => {
      const tokens = await Promise.all(['ann', 'bob'].map((name) => client.get(`/token/${name}`)))
      const fields = tokens.map(({ text }) => ({ authorization: `Bearer ${text}` }))
      return visitors('/home', [...fields, { authorization: 'Bearer of.nobody.else' }])
    },
  },
]

for (const neighbour of known) {
  for (const order of ORDERS) {
    for (const withEtag of [false, true]) {
      const beside = withEtag ? ' and @fastify/etag' : ''
      test(`${neighbour.name}${beside} ${order}: each gets the own page, strangers the stored one`, async (t) => {
        assertKnownWentAround(await compare(t, neighbour, order, withEtag))
      })
    }
  }
}

const perPerson: Neighbour = {
  name: 'a page for each',
  register: registerSession,
  declare: (app) => {
    declareHome(app)
    const by = ({ session }: FastifyRequest): string | undefined => session.userName
    app.get('/mine', { config: { cache: { vary: { by: by as never } } } }, async ({ session }) => {
      return `page of ${session.userName ?? 'nobody'}`
    })
  },
  visits: async (client) => visitors('/mine', await sessionsOf(client, ['ann', 'bob'])),
  essence: withoutSecrets,
}

for (const order of ORDERS) {
  test(`with vary.by and sessions ${order} each has an own stored page`, async (t) => {
    assertServed(await compare(t, perPerson, order, true), 3)
  })

  test(`sessions ${order} that set a cookie on every answer leave nothing to store`, async (t) => {
    const answered = await compare(
      t,
      {
        ...perPerson,
        register: (app) => registerSession(app, { saveUninitialized: true, rolling: true }),
        visits: async (client) => [
          ...visitors('/home', await sessionsOf(client, ['ann'])),
          ...visitors('/mine', []),
        ],
      },
      order,
    )
    assertNeverServed(answered)
    assert.ok(answered.every(({ answer }) => answer.headers['set-cookie'] !== undefined))
  })

  test(`a cookie that the handler sets ${order} is for one client`, async (t) => {
    const answered = await compare(
      t,
      {
        name: 'a cookie of the handler',
        register: (app) => app.register(cookie),
        declare: (app) =>
          app.get('/visit', { config: { cache: true } }, (_request, reply) => {
            reply.setCookie('seen', 'yes', { path: '/' }).send('page')
          }),
        visits: () => course('/visit'),
      },
      order,
      true,
    )
    assertNeverServed(answered)
  })
}

type Csrf = (request: FastifyRequest, reply: FastifyReply, done: () => void) => unknown

const forms: Neighbour = {
  name: '@fastify/csrf-protection',
  register: async (app) => {
    await app.register(cookie)
    await app.register(csrfProtection)
  },
  declare: (app) => {
    app.get('/token', async (_request, reply) => reply.generateCsrf())
    app.get('/form', { config: { cache: { public: true } } }, async (_request, reply) => {
      return `token=${reply.generateCsrf()}`
    })
    app.get('/list', { config: { cache: { public: true, tags: ['list'] } } }, async () => 'list')
    const onRequest = app.csrfProtection.bind(app) as Csrf as never
    app.post('/list', { onRequest, config: { cache: { invalidates: ['list'] } } }, async () => 'ok')
  },
  visits: async (client) => {
    const answer = await client.get('/token')
    const own = { cookie: cookieOf(answer) }
    const post = { method: 'POST', path: '/list' }
    return [
      ...course('/form'),
      ...course('/form', own),
      ...course('/list', own),
      { ...post, fields: own },
      { path: '/list' },
      { ...post, fields: { ...own, 'csrf-token': answer.text } },
      { path: '/list' },
      ...course('/list'),
    ]
  },
  essence: withoutSecrets,
}

for (const order of ORDERS) {
  test(`@fastify/csrf-protection ${order}: forms are made anew, and refused writes forget nothing`, async (t) => {
    const answered = await compare(t, forms, order)
    assertNeverServed(answered.filter(({ visit }) => visit.path === '/form'))
    const at = answered.findIndex(({ visit }) => visit.method === 'POST')
    const [refused, hit, accepted, forgotten] = answered.slice(at, at + 4)
    assert.deepEqual([refused!.answer.status, accepted!.answer.status], [403, 200])
    assert.equal(hit!.told?.hit, true)
    assert.equal(forgotten!.told?.fwd, 'stale')
  })
}

const guarded: Neighbour = {
  name: '@fastify/auth',
  register: (app) => app.register(auth),
  declare: (app) => {
    const byKey = async ({ headers }: FastifyRequest): Promise<void> => {
      if (headers['x-key'] !== 'right') throw new Error('no key')
    }
    const byName = async ({ headers }: FastifyRequest): Promise<void> => {
      if (headers.authorization !== 'Basic ann') throw new Error('no name')
    }
    const cache = { public: true }
    app.get('/any', { preHandler: app.auth([byKey, byName]), config: { cache } }, async () => 'in')
    const both = app.auth([byKey, byName], { relation: 'and' })
    app.get('/both', { onRequest: both, config: { cache } }, async () => 'in')
  },
  visits: () => {
    const people = [{}, { 'x-key': 'right' }, { 'x-key': 'wrong' }, { authorization: 'Basic ann' }]
    const all = [...people, { 'x-key': 'right', authorization: 'Basic ann' }, {}] as Fields[]
    return ['/any', '/both'].flatMap((path) => all.flatMap((fields) => course(path, fields)))
  },
}

for (const order of ORDERS) {
  test(`gates of @fastify/auth ${order} admit and refuse GET, HEAD and conditions as without a cache`, async (t) => {
    const answered = await compare(t, guarded, order, true)
    const refused = refusals(answered)
    for (const { told } of refused) assert.equal(told, undefined)
    assert.equal(refused.size, 8 * course('/').length)
    const admitted = answered.filter((each) => !refused.has(each))
    assertServed(admitted, 2)
  })
}
