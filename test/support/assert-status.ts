// Cache-Status (RFC 9211) as the test oracle: parsed by a library that knows nothing of this cache.
import assert from 'node:assert/strict'

import { Token, parseList } from 'structured-headers'

import type { Answer } from './app.ts'

/** What the field says; members that it does not have are not there. */
export interface Told {
  hit?: boolean
  fwd?: string
  ttl?: number
  stored?: boolean
  collapsed?: boolean
  detail?: string
}

/** Fails unless the field is a well-formed list of one member, `fastify`. */
export function statusOf({ headers }: Pick<Answer, 'headers'>): Told {
  const field = headers['cache-status']
  assert.equal(typeof field, 'string', 'the response has no Cache-Status')
  const members = parseList(String(field))
  assert.equal(members.length, 1, `one member in ${String(field)}`)
  const [name, parameters] = members[0]!
  assert.ok(name instanceof Token && name.toString() === 'fastify', `named in ${String(field)}`)
  const told: Record<string, unknown> = {}
  for (const [key, value] of parameters) told[key] = value instanceof Token ? String(value) : value
  return told
}

/** The status without the seconds that depend on the moment; those are only checked for form. */
function timeless(answer: Answer): Told {
  const { ttl, ...rest } = statusOf(answer)
  if (rest.hit) {
    assert.ok(Number.isInteger(ttl) && ttl! >= 0, `ttl of a hit is whole seconds, got ${ttl}`)
    assert.match(answer.headers.age ?? '', /^\d+$/, 'a hit has an Age')
  } else {
    assert.equal(ttl, undefined, 'only a hit tells a ttl')
  }
  return rest
}

export function assertStatus(answer: Answer, expected: Omit<Told, 'ttl'>): void {
  assert.deepEqual(timeless(answer), expected)
}

/** Answered from the cache. */
export function assertHit(answer: Answer): void {
  assertStatus(answer, { hit: true })
}

/** Answered by the handler, and kept. */
export function assertStored(answer: Answer, fwd = 'uri-miss'): void {
  assertStatus(answer, { fwd, stored: true })
}

/** Answered by the handler, and not kept for this reason. */
export function assertNotStored(answer: Answer, detail: string): void {
  assertStatus(answer, { fwd: 'uri-miss', detail })
}

/** Went around the cache for this reason. */
export function assertBypass(answer: Answer, detail: string): void {
  assertStatus(answer, { fwd: 'bypass', detail })
}
