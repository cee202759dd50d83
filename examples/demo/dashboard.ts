import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import basicAuth from '@fastify/basic-auth'
import type { FastifyInstance } from 'fastify'
import dashboard from 'fastify-response-cache/dashboard'

export const DASHBOARD_PATH = '/cache-dashboard'
export const DASHBOARD_USER = 'admin'

/** For whoever sets none. Easy to type: no letters that look like digits. */
export function newPassword(): string {
  const letters = 'abcdefghjkmnpqrstuvwxyz23456789'
  return Array.from(randomBytes(12), (byte) => letters[byte % letters.length]).join('')
}

/** The live dashboard, for whoever has the password. */
export function dashboardFor(password: string) {
  return async (app: FastifyInstance): Promise<void> => {
    await app.register(basicAuth, {
      authenticate: { realm: 'The dashboard of the cache' },
      validate: async (user, given) => {
        const isKnown = isSame(user, DASHBOARD_USER)
        if (!isSame(given, password) || !isKnown) throw new Error('Wrong user or password.')
      },
    })
    await app.register(dashboard, { prefix: DASHBOARD_PATH, onRequest: app.basicAuth })
  }
}

/** Takes as long whatever is wrong. */
function isSame(given: string, expected: string): boolean {
  return timingSafeEqual(digest(given), digest(expected))
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
