import assert from 'node:assert/strict'
import { validateHeaderName, validateHeaderValue } from 'node:http'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  isFieldName,
  isFieldValue,
  isReplayable,
  listMembers,
  sameField,
} from '../../src/http/fields.ts'

function accepts(check: () => void): boolean {
  try {
    check()
    return true
  } catch {
    return false
  }
}

const oddText = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 5 }),
  fc.string({
    unit: fc.constantFrom('a', '-', '\r', '\n', '\0', '\x7f', '\t', ' ', 'é', 'Ā', 'A'),
  }),
)

describe('isFieldName', () => {
  it('says yes to lower-case tokens', () => {
    for (const name of ['x', 'x-y_z', 'content-type', "!#$%&'*+-.^_`|~09"]) {
      assert.equal(isFieldName(name), true, name)
    }
  })

  it('says no to anything else', () => {
    for (const name of ['', 'X', 'a b', 'a:', 'a\n', 'é', undefined, null, 1, ['x'], {}]) {
      assert.equal(isFieldName(name), false, String(name))
    }
  })

  it('never says yes to a name that Node would refuse to send', () => {
    fc.assert(
      fc.property(oddText, (name) => {
        if (isFieldName(name)) assert.ok(accepts(() => validateHeaderName(name)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('isFieldValue', () => {
  it('says no to what could end a line, and to what is no text', () => {
    for (const value of ['a\r\nb', 'a\n', 'a\r', 'a\0', '\x7f', 'Ā', undefined, null, 1, ['x']]) {
      assert.equal(isFieldValue(value), false, JSON.stringify(value))
    }
  })

  it('says yes to visible text, spaces, tabs and obs-text', () => {
    for (const value of ['', 'a b\tc', 'caf\xe9', '"\\;,']) assert.equal(isFieldValue(value), true)
  })

  it('never says yes to a value that Node would refuse to send', () => {
    fc.assert(
      fc.property(oddText, (value) => {
        if (isFieldValue(value)) assert.ok(accepts(() => validateHeaderValue('x', value)))
      }),
      { numRuns: 1000 },
    )
  })
})

describe('isReplayable', () => {
  const never = [
    ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'te', 'trailer'],
    ...['transfer-encoding', 'upgrade', 'proxy-connection', 'proxy-authentication-info'],
    ...['age', 'cache-status', 'x-cache', 'content-length', 'date', 'set-cookie', 'server-timing'],
    ...['request-id', 'x-request-id', 'x-correlation-id', 'x-response-time', 'x-runtime'],
    ...[
      'ratelimit',
      'ratelimit-limit',
      'x-ratelimit-remaining',
      'x-rate-limit-reset',
      'rate-limit',
    ],
  ]
  for (const name of never) {
    it(`leaves out ${name}, which belongs to one message`, () => {
      assert.equal(isReplayable(name), false)
    })
  }

  it('replays what describes the representation', () => {
    const kept = [
      'content-type',
      'etag',
      'last-modified',
      'link',
      'vary',
      'cache-control',
      'expires',
    ]
    for (const name of [...kept, 'x-rate', 'rateless', 'x-anything']) {
      assert.equal(isReplayable(name), true, name)
    }
  })
})

describe('listMembers', () => {
  it('splits, trims, lowers, and drops empty members', () => {
    assert.deepEqual(listMembers(' Accept , ,ORIGIN,'), ['accept', 'origin'])
    assert.deepEqual(listMembers(['A, b', 'C']), ['a', 'b', 'c'])
    assert.deepEqual(listMembers(undefined), [])
    assert.deepEqual(listMembers(5), ['5'])
  })
})

describe('sameField', () => {
  it('compares lists by their members and everything else by identity', () => {
    assert.equal(sameField(['a', 'b'], ['a', 'b']), true)
    assert.equal(sameField(['a', 'b'], ['b', 'a']), false)
    assert.equal(sameField(['a'], ['a', 'b']), false)
    assert.equal(sameField(['a'], 'a'), false)
    assert.equal(sameField('a', 'a'), true)
    assert.equal(sameField(undefined, undefined), true)
    assert.equal(sameField(1, '1'), false)
  })
})
