import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import fc from 'fast-check'

import { readKeys } from '../src/encryption-keys.ts'

const GOOD = randomBytes(32).toString('base64')
const key = (secret: unknown, id: unknown = 'k1') => ({ keys: [{ id, secret }] })

function refusal(encryption: unknown): string {
  const read = readKeys(encryption)
  assert.ok('path' in read, 'it was accepted')
  return `${read.path} must be ${read.expected}`
}

test('takes secrets as the command makes them, in other spellings and as bytes', () => {
  const ways = [
    (bytes: Buffer) => bytes.toString('base64'),
    (bytes: Buffer) => bytes.toString('base64url'),
    (bytes: Buffer) => bytes.toString('hex'),
    (bytes: Buffer) => bytes,
    (bytes: Buffer) => new Uint8Array(bytes),
  ]
  fc.assert(
    fc.property(fc.constantFrom(...ways), (way) => {
      const secret = way(randomBytes(32))
      const read = readKeys(key(secret))
      assert.ok(!('path' in read), JSON.stringify(read))
      assert.equal(read[0]!.id, 'k1')
    }),
    { numRuns: 500 },
  )
})

test('a key cannot be changed after it was given', () => {
  const bytes = randomBytes(32)
  const before = Buffer.from(bytes)
  const read = readKeys(key(bytes))
  bytes.fill(0)
  assert.ok(!('path' in read))
  assert.deepEqual(read[0]!.secret, before)
})

const WEAK: [what: string, secret: unknown][] = [
  ['nothing', undefined],
  ['an empty text', ''],
  ['a short text', 'correct horse battery staple'],
  ['31 random characters', GOOD.slice(0, 31)],
  ['one sign', 'x'.repeat(64)],
  ['a word again and again', 'changeme'.repeat(8)],
  ['two random characters again and again', randomBytes(1).toString('hex').repeat(32)],
  ['few signs', 'aabbaabababbbaabababababbbababaab'],
  ['16 random bytes', randomBytes(16)],
  ['zeros', Buffer.alloc(32)],
  ['the same random bytes twice', Buffer.concat([Buffer.alloc(16, 'ab'), Buffer.alloc(16, 'ab')])],
  ['a number', 2 ** 53],
  ['a list', GOOD.split('')],
]

for (const [what, secret] of WEAK) {
  test(`refuses ${what} with the command that makes a good one, and does not say what it was`, () => {
    const message = refusal(key(secret))
    assert.match(message, /^\.keys\[0\]\.secret must be at least 32 random/)
    assert.match(message, /node -p "require\('node:crypto'\)\.randomBytes\(32\)/)
    if (typeof secret === 'string' && secret !== '') assert.ok(!message.includes(secret))
  })
}

const WRONG: [what: string, encryption: unknown, message: RegExp][] = [
  // Regression: text was taken for an object, and its first letter for an option.
  ['a text', GOOD, /^ must be an object such as \{ keys: /],
  ['a list', [GOOD], /^ must be an object/],
  ['no object', null, /^ must be an object/],
  ['no keys', {}, /^\.keys must be a list of 1 to 4/],
  ['an empty list', { keys: [] }, /^\.keys must be a list of 1 to 4/],
  [
    'five keys',
    { keys: ['a', 'b', 'c', 'd', 'e'].map((id) => ({ id, secret: GOOD })) },
    /^\.keys must be a list of 1/,
  ],
  ['an unknown name', { keys: [], cipher: 'rot13' }, /^\.cipher must be left out; known are keys/],
  ['no key', { keys: [null] }, /^\.keys\[0\] must be an object such as \{ id, secret \}/],
  ['a secret for a key', { keys: [GOOD] }, /^\.keys\[0\] must be an object/],
  ['an odd id', key(GOOD, 'a b'), /^\.keys\[0\]\.id must be 1 to 16 letters/],
  ['a long id', key(GOOD, 'a'.repeat(17)), /^\.keys\[0\]\.id must be 1 to 16 letters/],
  ['a number for an id', key(GOOD, 1), /^\.keys\[0\]\.id must be 1 to 16 letters/],
  [
    'an unknown name in a key',
    { keys: [{ id: 'a', secret: GOOD, key: 1 }] },
    /^\.keys\[0\]\.key must be left out; known are id, secret/,
  ],
  [
    'the same id twice',
    { keys: [...key(GOOD).keys, ...key(randomBytes(32)).keys] },
    /^\.keys\[1\]\.id must be another one: 'k1' is taken/,
  ],
]

for (const [what, encryption, message] of WRONG) {
  test(`refuses ${what} and names the place`, () => {
    assert.match(refusal(encryption), message)
  })
}
