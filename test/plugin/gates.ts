// The gates that applications put before their routes, each as the package in use makes it.
import auth from '@fastify/auth'
import basicAuth from '@fastify/basic-auth'
import bearerAuth from '@fastify/bearer-auth'
import cookie from '@fastify/cookie'
import csrfProtection from '@fastify/csrf-protection'
import jwt from '@fastify/jwt'
import session from '@fastify/session'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'

import type { Client } from '../support/app.ts'

declare module 'fastify' {
  interface Session {
    userName?: string
  }
}

export type Fields = Record<string, string>
/** Fits every hook: what Fastify passes beyond request and reply is not looked at. */
export type Guard = (request: FastifyRequest, reply: FastifyReply) => Promise<unknown>

export interface Gate {
  name: string
  /** Makes the gate's methods known; awaited before `guard` is asked for. */
  register: (app: FastifyInstance) => PromiseLike<unknown>
  guard: (app: FastifyInstance) => Guard
  /** What Ann sends to be let in. */
  admitted: (client: Client) => Promise<Fields>
  /** What somebody sends who is not to be let in. */
  refused: Fields[]
}

type CallbackHook = (
  request: FastifyRequest,
  reply: FastifyReply,
  done: (error?: Error) => void,
) => unknown

/** A gate that answers by itself never calls back; Fastify does not wait for it then. */
function awaited(hook: CallbackHook): Guard {
  return (request, reply) =>
    new Promise((resolve, reject) => {
      hook(request, reply, (error) => (error ? reject(error) : resolve(undefined)))
    })
}

export function basic(user: string, password = 'secret'): Fields {
  return { authorization: `Basic ${Buffer.from(`${user}:${password}`).toString('base64')}` }
}

const bearer: Gate = {
  name: '@fastify/bearer-auth',
  register: (app) => app.register(bearerAuth, { keys: new Set(['ann-key']), addHook: false }),
  guard: (app) => awaited((request, reply, done) => app.verifyBearerAuth!(request, reply, done)),
  admitted: async () => ({ authorization: 'Bearer ann-key' }),
  refused: [{}, { authorization: 'Bearer wrong' }, basic('ann')],
}

const basicGate: Gate = {
  name: '@fastify/basic-auth',
  register: (app) =>
    app.register(basicAuth, {
      authenticate: true,
      validate: async (name, password) => {
        if (name !== 'ann' || password !== 'secret') throw new Error('who are you?')
      },
    }),
  guard: (app) => awaited((request, reply, done) => app.basicAuth(request, reply, done)),
  admitted: async () => basic('ann'),
  refused: [{}, basic('ann', 'wrong'), { authorization: 'Basic !!!' }],
}

const jwtGate: Gate = {
  name: '@fastify/jwt',
  register: async (app) => {
    await app.register(jwt, { secret: 'a secret that is long enough for HS256' })
    app.get('/login', async () => app.jwt.sign({ name: 'ann' }))
  },
  guard: () => (request) => request.jwtVerify(),
  admitted: async (client) => ({ authorization: `Bearer ${(await client.get('/login')).text}` }),
  refused: [{}, { authorization: 'Bearer x.y.z' }],
}

const authGate: Gate = {
  name: '@fastify/auth',
  register: (app) => app.register(auth),
  guard: (app) => {
    const byName = app.auth([
      async (request: FastifyRequest) => {
        if (request.headers['x-name'] !== 'ann') throw new Error('not by name')
      },
      async (request: FastifyRequest) => {
        if (request.headers.authorization !== 'Key ann') throw new Error('not by key')
      },
    ])
    return awaited((request, reply, done) => byName.call(app, request, reply, done))
  },
  admitted: async () => ({ 'x-name': 'ann' }),
  refused: [{}, { 'x-name': 'bob' }, { authorization: 'Key bob' }],
}

/** The cookie that an answer sets, as a request sends it. */
export function cookieOf({
  headers,
}: {
  headers: { 'set-cookie'?: string[] | undefined }
}): string {
  return (headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0]).join('; ')
}

export async function registerSessions(app: FastifyInstance): Promise<void> {
  await app.register(cookie)
  await app.register(session, {
    secret: 'a secret with the minimum length of 32 characters',
    cookie: { secure: false },
    saveUninitialized: false,
    rolling: false,
  })
}

const sessionGate: Gate = {
  name: '@fastify/session',
  register: async (app) => {
    await registerSessions(app)
    app.get('/login', async (request) => {
      request.session.userName = 'ann'
      return 'welcome'
    })
  },
  guard: () => async (request, reply) => {
    if (request.session?.userName !== 'ann')
      return reply.code(401).send({ message: 'log in first' })
    return undefined
  },
  admitted: async (client) => ({ cookie: cookieOf(await client.get('/login')) }),
  refused: [{}, { cookie: 'sessionId=made-up.value' }],
}

const csrfGate: Gate = {
  name: '@fastify/csrf-protection',
  register: async (app) => {
    await app.register(cookie)
    await app.register(csrfProtection)
    app.get('/token', async (_request, reply) => reply.generateCsrf())
  },
  guard: (app) => awaited((request, reply, done) => app.csrfProtection(request, reply, done)),
  admitted: async (client) => {
    const answer = await client.get('/token')
    return { cookie: cookieOf(answer), 'csrf-token': answer.text }
  },
  refused: [{}, { cookie: '_csrf=made-up', 'csrf-token': 'made-up' }],
}

export const gates: Gate[] = [bearer, basicGate, jwtGate, authGate, sessionGate, csrfGate]

export const HOOKS = ['onRequest', 'preParsing', 'preValidation', 'preHandler'] as const
export type HookName = (typeof HOOKS)[number]

/** One hook on an instance; `addHook` has an overload per name and cannot be called with a union. */
export function addGuard(app: FastifyInstance, hook: HookName, guard: Guard): void {
  const addHook = app.addHook.bind(app) as (name: HookName, guard: Guard) => unknown
  addHook(hook, guard)
}
