import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { sessionHasData } from '../../src/http/session.ts'

describe('sessionHasData', () => {
  const table: [what: string, session: unknown, expected: boolean][] = [
    ['no session', undefined, false],
    ['a session of null', null, false],
    ['an empty session', {}, false],
    ['what @fastify/session keeps beside the data', bookkeeping(), false],
    ['a user in the session of @fastify/session', { ...bookkeeping(), user: 'a' }, true],
    ['data that is undefined', { user: undefined }, true],
    ['an empty @fastify/secure-session', { data: () => ({}) }, false],
    ['a @fastify/secure-session without data', { data: () => undefined }, true],
    ['a filled @fastify/secure-session', { data: () => ({ user: 'a' }) }, true],
    ['a session that is text', 'abc', true],
    ['a session that is true', true, true],
    ['a session with a field named data', { data: 'x' }, true],
  ]
  for (const [what, session, expected] of table) {
    it(`says ${expected ? 'yes' : 'no'} to ${what}`, () => {
      assert.equal(sessionHasData(session), expected)
    })
  }

  it('asks a session object as its own method', () => {
    const session = {
      values: { user: 'a' },
      data(this: { values: object }) {
        return this.values
      },
    }
    assert.equal(sessionHasData(session), true)
  })
})

function bookkeeping(): object {
  return { cookie: { path: '/' }, sessionId: 'x', encryptedSessionId: 'y', id: 'z' }
}
