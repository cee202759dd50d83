import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { crc32 } from 'node:zlib'
import fc from 'fast-check'

import {
  EPOCH_LENGTH,
  FRAME_FORMAT,
  type StoredEntry,
  checkFrame,
  decodeEntry,
  encodeEntry,
  plainLifetimes,
  readEntry,
} from '../src/stored-response.ts'
import { unpack } from '../src/frame-packing.ts'
import { isReplayable } from '../src/http/fields.ts'

const KEY = 'shop:r:key'
const EPOCH = '0123456789abcdef'

/** Where the parts of a frame are: what `encodeEntry` documents, written down once more. */
const AT = { checksum: 4, epoch: 12, seq: 28, head: 44, body: 52, end: 60 }

const encode = (key: string, given: StoredEntry): Buffer => Buffer.from(encodeEntry(key, given))
const hex8 = (number: number): string => number.toString(16).padStart(8, '0')

/** FNV-1a, 32 bits: what the checksum of a key's frames starts from. */
function keyNumber(key: string): number {
  let number = 0x811c9dc5
  for (const unit of Array.from({ length: key.length }, (_, at) => key.charCodeAt(at))) {
    number = Math.imul(number ^ unit, 0x01000193)
  }
  return number >>> 0
}

function entry(change: Partial<StoredEntry> = {}): StoredEntry {
  return {
    epoch: EPOCH,
    seq: 42,
    tags: ['t:=a', 'r:=/a'],
    ...plainLifetimes(1_700_000_000_000, 1_700_000_060_000),
    status: 200,
    headers: [['content-type', 'text/plain']],
    removed: ['x-gone'],
    varies: undefined,
    body: Buffer.from('hi'),
    ...change,
  }
}

/** The entries of the golden files in test/fixtures/frames. */
const GOLDEN: Record<string, { key: string; entry: StoredEntry }> = {
  response: {
    key: 'shop:r:47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU',
    entry: entry({
      headers: [
        ['content-type', 'application/json; charset=utf-8'],
        ['etag', '"1"'],
        ['link', ['</a>; rel=next', '</b>; rel=prev']],
        ['x-latin', 'caf\xe9'],
      ],
      body: Buffer.from('{"name":"Zürich"}'),
    }),
  },
  empty: {
    key: 'a:r:x',
    entry: entry({ tags: [], headers: [], removed: [], body: Buffer.alloc(0) }),
  },
  'not-found': { key: 'shop:r:y', entry: entry({ status: 404, seq: 0, body: Buffer.from('no') }) },
  value: {
    key: 'shop:d:user:1',
    entry: entry({ status: 0, headers: [], removed: [], body: Buffer.from('[1,null]') }),
  },
  text: { key: 'shop:r:text', entry: entry({ body: 'Zürich, 東京 and 🦊' }) },
  windows: {
    key: 'shop:r:windows',
    entry: entry({
      staleWhileRevalidateUntil: 1_700_000_070_000,
      staleIfErrorUntil: 1_700_000_080_000,
      keepUntil: 1_700_000_090_000,
      mustRevalidate: true,
    }),
  },
  early: { key: 'shop:r:early', entry: entry({ computeMs: 120 }) },
  varies: {
    key: 'shop:r:varies',
    entry: entry({ headers: [], varies: ['accept', 'accept-language'], body: undefined }),
  },
  none: { key: 'shop:r:none', entry: entry({ status: 204, headers: [], body: undefined }) },
  binary: {
    key: 'shop:r:z',
    entry: entry({
      seq: Number.MAX_SAFE_INTEGER,
      tags: ['t:=straße', 't:=日本', 't:=🦊'],
      ...plainLifetimes(1_700_000_000_000.5, 1_700_000_060_000),
      body: Buffer.from(Array.from({ length: 256 }, (_, byte) => byte)),
    }),
  },
}

let root = import.meta.dirname
while (!existsSync(join(root, 'package.json'))) root = dirname(root)
const golden = (name: string): Buffer =>
  readFileSync(join(root, 'test', 'fixtures', 'frames', `${FRAME_FORMAT}-${name}.bin`))

/** The same frame with other bytes, and a checksum that is right for them. */
function forged(frame: Buffer, change: (frame: Buffer) => Buffer | void): Buffer {
  const copy = Buffer.from(frame)
  const changed = change(copy) ?? copy
  changed.write(hex8(crc32(changed.subarray(AT.epoch), keyNumber(KEY))), AT.checksum)
  return changed
}

/** A frame with any JSON, or text, as its head. */
function withHead(head: unknown): Buffer {
  const text = typeof head === 'string' ? head : JSON.stringify(head)
  const frame = encode(KEY, entry({ body: Buffer.alloc(0) }))
  const body = Buffer.from('hi')
  return forged(frame, () => {
    const prelude = Buffer.from(frame.subarray(0, AT.end))
    prelude.write(hex8(Buffer.byteLength(text)), AT.head)
    prelude.write(hex8(body.length), AT.body)
    return Buffer.concat([prelude, Buffer.from(text), body])
  })
}

describe('golden frames', () => {
  for (const [name, { key, entry: expected }] of Object.entries(GOLDEN)) {
    it(`${name}: today's encoder writes exactly the bytes on file`, () => {
      assert.deepEqual(encode(key, expected), golden(name))
    })

    it(`${name}: today's decoder reads the bytes on file`, () => {
      assert.deepEqual(decodeEntry(key, golden(name)), expected)
    })
  }
})

describe('golden packed frame', () => {
  const key = 'shop:r:packed'
  const body = 'said again and again, '.repeat(100)
  // As gzip has packed it once; other versions of zlib may do it in other bytes.
  const packed = Buffer.concat([
    Buffer.from('g00000898'),
    Buffer.from(
      'H4sIAAAAAAAAAytOzExRSExPzMxTSMyDsnQUikdFR0VHRUdFR0VHRUdFR0XpLgoA0UR3g5gIAAA=',
      'base64',
    ),
  ])
  const file = readFileSync(join(root, 'test', 'fixtures', 'frames', 'frc3-text.bin'))

  it('is written today with exactly the bytes on file', () => {
    assert.deepEqual(encodeEntry(key, entry({ body }), packed), file)
  })

  it('is read today from the bytes on file, and only as what it is', async () => {
    const frame = checkFrame(key, file)
    assert.ok(frame?.isPacked)
    const unpacked = await unpack(frame.body, 10_000)
    assert.deepEqual(readEntry({ ...frame, body: unpacked! }), entry({ body }))
    assert.equal(decodeEntry(key, file), undefined)
    const other = Buffer.from(file)
    other.write('FRC2')
    assert.equal(checkFrame(key, other), undefined)
  })
})

describe('encodeEntry and decodeEntry', () => {
  const text = fc.string({ unit: 'grapheme' })
  const header = fc.tuple(
    fc.stringMatching(/^[a-z-]{1,12}$/).filter(isReplayable),
    fc.oneof(fc.stringMatching(/^[\x20-\x7e\xa0-\xff]*$/), fc.array(fc.stringMatching(/^[ -~]*$/))),
  )
  const anyEntry: fc.Arbitrary<StoredEntry> = fc.record(
    {
      epoch: fc.stringMatching(/^[0-9a-f]{16}$/),
      seq: fc.maxSafeNat(),
      tags: fc.array(text.filter((tag) => tag !== '')),
      storedAt: fc.integer({ min: 1e12, max: 2e12 }),
      freshUntil: fc.integer({ min: 2e12, max: 3e12 }),
      staleWhileRevalidateUntil: fc.integer({ min: 3e12, max: 8e12 }),
      staleIfErrorUntil: fc.integer({ min: 3e12, max: 8e12 }),
      keepUntil: fc.integer({ min: 3e12, max: 8e12 }),
      mustRevalidate: fc.boolean(),
      computeMs: fc.option(fc.double({ min: 0.001, max: 1e9, noNaN: true }), { nil: undefined }),
      varies: fc.option(fc.array(fc.stringMatching(/^[a-z-]{1,12}$/), { minLength: 1 }), {
        nil: undefined,
      }),
      status: fc.oneof(fc.constant(0), fc.integer({ min: 200, max: 599 })),
      headers: fc.array(header),
      removed: fc.array(fc.stringMatching(/^[a-z-]{1,12}$/)),
      body: fc.oneof(
        fc.constant(undefined),
        text,
        fc.uint8Array().map((bytes) => Buffer.from(bytes)),
      ),
    },
    { noNullPrototype: true },
  )

  it('give back what was put in, for any entry and key', () => {
    fc.assert(
      fc.property(text, anyEntry, (key, given) => {
        assert.deepEqual(decodeEntry(key, encode(key, given)), given)
      }),
    )
  })

  it('find nothing under another key: a frame that was swapped is damaged', () => {
    fc.assert(
      fc.property(text, text, anyEntry, (key, other, given) => {
        fc.pre(key !== other)
        assert.equal(decodeEntry(other, encode(key, given)), undefined)
      }),
    )
  })

  it('leave the epoch and the seq where the script in Redis reads them', () => {
    const frame = encode(KEY, entry())
    assert.equal(frame.toString('latin1', AT.epoch, AT.epoch + EPOCH_LENGTH), EPOCH)
    assert.equal(frame.toString('latin1', AT.seq, AT.head), '0000000000000042')
  })
})

describe('decodeEntry', () => {
  const small = encode(KEY, entry())

  it('reads the frame of which the tests below make damaged ones', () => {
    assert.deepEqual(decodeEntry(KEY, small), entry())
    assert.deepEqual(
      decodeEntry(
        KEY,
        forged(small, () => undefined),
      ),
      entry(),
    )
    assert.equal(
      decodeEntry(KEY, withHead({ t: ['t'], s: 200, h: [], r: [], a: 1, f: 2 }))?.status,
      200,
    )
  })

  it('finds nothing in a frame that was cut off, wherever that was', () => {
    for (let length = 0; length < small.length; length++) {
      assert.equal(decodeEntry(KEY, small.subarray(0, length)), undefined, `${length} bytes`)
    }
  })

  it('finds nothing in a frame with something behind it', () => {
    assert.equal(decodeEntry(KEY, Buffer.concat([small, Buffer.from([0])])), undefined)
    assert.equal(decodeEntry(KEY, Buffer.concat([small, small])), undefined)
  })

  it('finds nothing in a frame in which any one bit is another', () => {
    for (let bit = 0; bit < small.length * 8; bit++) {
      const flipped = Buffer.from(small)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(decodeEntry(KEY, flipped), undefined, `bit ${bit}`)
    }
  })

  it('finds nothing in a frame in which any run of bytes is another', () => {
    const position = fc.nat({ max: small.length - 1 })
    fc.assert(
      fc.property(position, fc.uint8Array({ minLength: 1, maxLength: 8 }), (at, bytes) => {
        const damaged = Buffer.from(small)
        damaged.set(bytes.subarray(0, damaged.length - at), at)
        fc.pre(!damaged.equals(small))
        assert.equal(decodeEntry(KEY, damaged), undefined)
      }),
      { numRuns: 2000 },
    )
  })

  it('finds nothing in random bytes, nor in any that begin as a frame does', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(decodeEntry(KEY, Buffer.from(bytes)), undefined)
        const begun = Buffer.concat([small.subarray(0, AT.epoch), bytes])
        assert.equal(decodeEntry(KEY, begun), undefined)
      }),
      { numRuns: 1000 },
    )
    assert.equal(decodeEntry(KEY, randomBytes(100_000)), undefined)
  })

  it('finds nothing in the frame of another format or version', () => {
    for (const magic of ['FRC\x01', 'FRC1', 'FRC3', 'FRD2', 'frc2', '\x1f\x8b\x08\x00', '{"a"']) {
      const foreign = forged(small, (frame) => void frame.write(magic, 0, 'latin1'))
      assert.equal(decodeEntry(KEY, foreign), undefined, JSON.stringify(magic))
    }
  })

  it('finds nothing where the lengths are wrong, however large', () => {
    const lengthAt = (at: number): number =>
      Number.parseInt(small.toString('latin1', at, at + 8), 16)
    const withLength = (frame: Buffer, at: number, length: number): void =>
      void frame.write(hex8(length), at)
    for (const at of [AT.head, AT.body]) {
      const right = lengthAt(at)
      for (const length of [0, right - 1, right + 1, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1]) {
        const wrong = forged(small, (frame) => withLength(frame, at, length))
        assert.equal(decodeEntry(KEY, wrong), undefined, `${length} at ${at}`)
      }
      for (const text of ['        ', '-0000001', '+0000001', '0x000001', '0000001A', '1e000000']) {
        const wrong = forged(small, (frame) => void frame.write(text, at))
        assert.equal(decodeEntry(KEY, wrong), undefined, `${text} at ${at}`)
      }
    }
    const shifted = forged(small, (frame) => {
      withLength(frame, AT.head, lengthAt(AT.head) - 1)
      withLength(frame, AT.body, lengthAt(AT.body) + 1)
    })
    assert.equal(decodeEntry(KEY, shifted), undefined)
  })

  for (const seq of [
    '               1',
    '-000000000000001',
    '0x00000000000001',
    '1e00000000000001',
  ]) {
    it(`finds nothing where the seq is '${seq}'`, () => {
      const wrong = forged(small, (frame) => void frame.write(seq, AT.seq, 'latin1'))
      assert.equal(decodeEntry(KEY, wrong), undefined)
    })
  }

  const right = { t: ['t:=a'], s: 200, h: [['etag', '"1"']], r: ['x-a'], a: 1e12, f: 2e12 }
  const heads: [what: string, head: unknown][] = [
    ['no JSON', '{"t":['],
    ['JSON of something else', 'null'],
    ['text', '"head"'],
    ['a list', []],
    ['nothing in it', {}],
    ['a computing time of text', { ...right, c: '1' }],
    ['no computing time', { ...right, c: 0 }],
    ['a negative computing time', { ...right, c: -1 }],
    ['no tags', { ...right, t: undefined }],
    ['an empty tag', { ...right, t: [''] }],
    ['a tag that is no text', { ...right, t: [1] }],
    ['tags that are text', { ...right, t: 'abc' }],
    ['no status', { ...right, s: undefined }],
    ['a status of text', { ...right, s: '200' }],
    ['half a status', { ...right, s: 200.5 }],
    ['an interim status', { ...right, s: 101 }],
    ['a status beyond all', { ...right, s: 600 }],
    ['fields that are an object', { ...right, h: { etag: '1' } }],
    ['a field of one part', { ...right, h: [['etag']] }],
    ['a field of three parts', { ...right, h: [['etag', 'a', 'b']] }],
    ['a field name with a line end', { ...right, h: [['etag\r\nx', 'a']] }],
    ['a field name in upper case', { ...right, h: [['ETag', 'a']] }],
    ['an empty field name', { ...right, h: [['', 'a']] }],
    ['a field value with a line end', { ...right, h: [['etag', 'a\r\nset-cookie: x=1']] }],
    ['a field value beyond Latin-1', { ...right, h: [['etag', 'Ā']] }],
    ['a field value that is a number', { ...right, h: [['etag', 5]] }],
    ['a line end in a list of values', { ...right, h: [['link', ['a', 'b\nc']]] }],
    ['a list in a list of values', { ...right, h: [['link', [['a']]]] }],
    ['a length of its own', { ...right, h: [['content-length', '9']] }],
    ['a connection field', { ...right, h: [['transfer-encoding', 'chunked']] }],
    ['a removed field that is no name', { ...right, r: ['a b'] }],
    ['removed fields that are text', { ...right, r: 'x' }],
    ['no instants', { ...right, a: undefined, f: undefined }],
    ['no end', { ...right, f: null }],
    ['an end that never comes', { ...right, f: 'Infinity' }],
    ['an end before the beginning', { ...right, f: 0.5e12 }],
    ['a beginning before time', { ...right, a: -1 }],
    ['no beginning', { ...right, a: 0 }],
    ['a stale window before its end', { ...right, w: 1.5e12 }],
    ['an error window of text', { ...right, e: '3e12' }],
    ['an odd wish for revalidation', { ...right, m: true }],
    ['nothing that it varies on', { ...right, v: [] }],
    ['a variation that is no name', { ...right, v: ['a b'] }],
    ['a kind of body that it does not know', { ...right, x: 3 }],
    ['JSON that is too deep', '['.repeat(100_000) + ']'.repeat(100_000)],
  ]
  for (const [what, head] of heads) {
    it(`finds nothing where the head has ${what}`, () => {
      assert.equal(decodeEntry(KEY, withHead(head)), undefined)
      // A head that was refused is not remembered as one that was checked.
      assert.equal(decodeEntry(KEY, withHead(head)), undefined)
    })
  }

  it('reads heads it has never seen and heads it has seen before alike', () => {
    for (let round = 0; round < 2; round++) {
      for (let n = 0; n < 600; n++) {
        const given = entry({ tags: [`t:=${n}`] })
        assert.deepEqual(decodeEntry(KEY, encode(KEY, given))?.tags, [`t:=${n}`])
      }
    }
  })
})
