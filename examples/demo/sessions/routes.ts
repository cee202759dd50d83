import { randomBytes } from 'node:crypto'
import cookie from '@fastify/cookie'
import session from '@fastify/session'
import type { FastifyPluginAsyncTypebox } from '@fastify/type-provider-typebox'
import Type from 'typebox'

import { Invalid, LoggedOut, NoRedis, NotLoggedIn } from '../problems.ts'
import { LIFETIME_S, cachedSessions, sessionsOf } from './store.ts'

const tags = ['sessions']

const Login = Type.Object(
  { user: Type.String({ pattern: '^[\\w-]{1,40}$' }) },
  { additionalProperties: false, examples: [{ user: 'ada' }] },
)

const Current = Type.Object(
  { user: Type.String(), since: Type.String() },
  { description: 'Who is logged in', examples: [{ user: 'ada', since: '2026-11-21T12:00:00Z' }] },
)

const Ended = Type.Null({ description: 'Logged out' })

/** @param secret Signs the cookies; the same in all processes, and kept when they start anew. */
export function sessionRoutes(secret: string | undefined): FastifyPluginAsyncTypebox {
  return async (app) => {
    const own = secret ?? randomBytes(32).toString('hex')
    await app.register(cookie)
    await app.register(session, {
      secret: own,
      cookieName: 'demo-session',
      // `secure: true` wherever the demo is not on http://localhost.
      cookie: { secure: false, httpOnly: true, sameSite: 'lax', maxAge: LIFETIME_S * 1000 },
      saveUninitialized: false,
      // A session that is written by reads could come back after a logout everywhere.
      rolling: false,
      store: cachedSessions(app.cache, own),
    })

    app.post(
      '/sessions',
      {
        schema: {
          tags,
          summary: 'Log in',
          description:
            'The demo asks for no password. The session is a value of the cache client, encrypted in Redis.',
          body: Login,
          response: { 201: Current, 400: Invalid, 503: NoRedis },
        },
      },
      async (request, reply) => {
        // A new id: one that somebody else may have planted before the login is worth nothing.
        await request.session.regenerate()
        const current = { user: request.body.user, since: new Date().toISOString() }
        Object.assign(request.session, current)
        await request.session.save()
        return reply.code(201).send(current)
      },
    )

    app.get(
      '/sessions/current',
      {
        schema: { tags, summary: 'Who is logged in', response: { 200: Current, 401: LoggedOut } },
      },
      async ({ session: { user, since } }) => {
        if (user === undefined || since === undefined) throw nobody()
        return { user, since }
      },
    )

    app.delete(
      '/sessions/current',
      {
        schema: {
          tags,
          summary: 'Log out',
          response: { 204: Ended, 401: LoggedOut, 503: NoRedis },
        },
      },
      async (request, reply) => {
        if (request.session.user === undefined) throw nobody()
        await request.session.destroy()
        return reply.code(204).send(null)
      },
    )

    app.delete(
      '/sessions',
      {
        schema: {
          tags,
          summary: 'Log out everywhere',
          description: 'One tag on all sessions of a user: none of them is looked for.',
          response: { 204: Ended, 401: LoggedOut, 503: NoRedis },
        },
      },
      async (request, reply) => {
        const { user } = request.session
        if (user === undefined) throw nobody()
        await app.cache.invalidateTags([sessionsOf(user)], { mode: 'purge' })
        return reply.code(204).send(null)
      },
    )
  }
}

const nobody = (): Error => new NotLoggedIn('Nobody is logged in. POST /sessions logs in.')
