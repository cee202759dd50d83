// A body of no bytes is a body: what streams nothing, or sends an empty Buffer.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { decodeEntry, encodeEntry, plainLifetimes } from '../src/stored-response.ts'

// Regression: zlib.crc32() of no bytes is 0 instead of what it starts from once the ArrayBuffer of the
// Buffer exists, and the tier in memory looks at that: with both tiers, Redis kept only damaged frames.
test('an empty body is read back, whoever has looked at its ArrayBuffer before', () => {
  for (const body of [Buffer.alloc(0), Buffer.allocUnsafeSlow(0), Buffer.from('x').subarray(1)]) {
    const entry = {
      ...{ epoch: '0123456789abcdef', seq: 1, tags: [], status: 200, headers: [], removed: [] },
      ...plainLifetimes(1_700_000_000_000, 1_700_000_060_000),
      ...{ varies: undefined, body },
    }
    const before = encodeEntry('key', entry)
    assert.equal(body.buffer.byteLength >= 0, true)
    assert.deepEqual(encodeEntry('key', entry), before)
    assert.deepEqual(decodeEntry('key', Buffer.from(before))?.body, Buffer.alloc(0))
  }
})
