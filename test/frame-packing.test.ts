import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { describe, it, test } from 'node:test'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'

import { readCompression } from '../src/compression.ts'
import { PACKING_ALGORITHMS, pack, unpack } from '../src/frame-packing.ts'

const TEXT = Buffer.from('All of this is said more than once. '.repeat(100))
const MAX = 1_000_000
const marked = (letter: string, length: number, bytes: Buffer): Buffer =>
  Buffer.concat([Buffer.from(letter + length.toString(16).padStart(8, '0')), bytes])

for (const algorithm of PACKING_ALGORITHMS) {
  describe(`packed with ${algorithm}`, () => {
    it('a body is smaller, and unpacked it is what it was', async () => {
      const bytes = fc.tuple(fc.uint8Array({ minLength: 1 }), fc.integer({ min: 50, max: 500 }))
      await fc.assert(
        fc.asyncProperty(bytes, async ([unit, times]) => {
          const body = Buffer.concat(Array<Uint8Array>(times).fill(unit))
          const packed = await pack(body, algorithm)
          if (packed === undefined) return
          assert.ok(packed.length < body.length)
          assert.deepEqual(await unpack(packed, MAX), body)
        }),
        { numRuns: 50 },
      )
      const packed = await pack(TEXT.toString(), algorithm)
      assert.ok(packed!.length < TEXT.length / 5)
      assert.deepEqual(await unpack(packed!, MAX), TEXT)
    })

    it('what does not become smaller stays as it is', async () => {
      assert.equal(await pack(randomBytes(5000), algorithm), undefined)
      assert.equal(await pack('short', algorithm), undefined)
      assert.equal(await pack('', algorithm), undefined)
    })

    it('what was cut off or says another length is not unpacked', async () => {
      const packed = (await pack(TEXT, algorithm))!
      for (let length = 0; length < packed.length; length++) {
        assert.equal(await unpack(packed.subarray(0, length), MAX), undefined, `${length} bytes`)
      }
      for (const length of [TEXT.length - 1, TEXT.length + 1, 0]) {
        const other = Buffer.from(packed)
        other.write(length.toString(16).padStart(8, '0'), 1)
        assert.equal(await unpack(other, MAX), undefined, `${length} bytes`)
      }
    })

    it('what is longer than allowed is not unpacked', async () => {
      const packed = (await pack(TEXT, algorithm))!
      assert.equal(await unpack(packed, TEXT.length - 1), undefined)
      assert.ok(await unpack(packed, TEXT.length))
    })
  })
}

test('a bomb does not go off: what is unpacked is bounded by what it says it is', async () => {
  const zeros = Buffer.alloc(200 * 1024 * 1024)
  const gzip = gzipSync(zeros)
  const brotli = brotliCompressSync(zeros.subarray(0, 50 * 1024 * 1024), { params: { 1: 1 } })
  const before = process.memoryUsage().rss
  for (const [letter, bytes] of [
    ['g', gzip],
    ['b', brotli],
  ] as const) {
    assert.equal(await unpack(marked(letter, 1000, bytes), MAX), undefined)
    assert.equal(await unpack(marked(letter, MAX, bytes), MAX), undefined)
    assert.equal(await unpack(marked(letter, zeros.length, bytes), MAX), undefined)
  }
  const grown = (process.memoryUsage().rss - before) / 1024 / 1024
  assert.ok(grown < 50, `grown by ${grown.toFixed(0)} MiB`)
})

test('bytes of no algorithm that is known here are not unpacked', async () => {
  const gzip = gzipSync(TEXT)
  assert.deepEqual(await unpack(marked('g', TEXT.length, gzip), MAX), TEXT)
  for (const letter of ['x', 'G', '_', '\0']) {
    assert.equal(await unpack(marked(letter, TEXT.length, gzip), MAX), undefined)
  }
  await fc.assert(
    fc.asyncProperty(fc.uint8Array({ maxLength: 50 }), async (bytes) => {
      assert.equal(await unpack(Buffer.from(bytes), MAX), undefined)
      assert.equal(await unpack(marked('b', 100, Buffer.from(bytes)), MAX), undefined)
    }),
  )
})

test('the option says what is compressed and how', () => {
  const [best] = PACKING_ALGORITHMS
  assert.equal(readCompression(false), false)
  assert.deepEqual(readCompression(true), { minBytes: 1024, algorithm: best })
  assert.deepEqual(readCompression({}), { minBytes: 1024, algorithm: best })
  assert.deepEqual(readCompression({ minBytes: 1, algorithm: 'gzip' }), {
    minBytes: 1,
    algorithm: 'gzip',
  })
})

for (const [compression, path] of [
  [null, ''],
  ['gzip', ''],
  [[], ''],
  [{ level: 1 }, '.level'],
  [{ minBytes: 0 }, '.minBytes'],
  [{ minBytes: 1.5 }, '.minBytes'],
  [{ minBytes: '1k' }, '.minBytes'],
  [{ algorithm: 'lzma' }, '.algorithm'],
] as const) {
  test(`the option refuses ${JSON.stringify(compression)} and names the place`, () => {
    const read = readCompression(compression)
    assert.ok(read && 'path' in read)
    assert.equal(read.path, path)
  })
}
