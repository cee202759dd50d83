import assert from 'node:assert/strict'
import { test } from 'node:test'

import { isCompressible } from '../../src/http/compressible.ts'

const TYPES: [type: string, expected: boolean][] = [
  ['text/html; charset=utf-8', true],
  ['application/json', true],
  ['application/problem+json', true],
  ['image/svg+xml', true],
  ['image/bmp', true],
  ['audio/wav', true],
  ['application/octet-stream', true],
  ['image/png', false],
  ['IMAGE/JPEG', false],
  ['image/webp', false],
  ['video/mp4', false],
  ['audio/mpeg', false],
  ['font/woff2', false],
  ['application/zip', false],
  ['application/pdf', false],
  ['application/vnd.openxmlformats-officedocument.wordprocessingml.document', false],
]

for (const [type, expected] of TYPES) {
  test(`a body of ${type} is ${expected ? '' : 'not '}worth compressing`, () => {
    assert.equal(isCompressible([['content-type', type]]), expected)
  })
}

test('a body that is encoded is not worth it, unless that says it is not', () => {
  for (const coding of ['gzip', 'br', 'zstd', 'unknown']) {
    const fields = [
      ['content-type', 'text/html'],
      ['content-encoding', coding],
    ] as const
    assert.equal(isCompressible(fields), false)
  }
  assert.equal(isCompressible([['content-encoding', 'Identity']]), true)
  assert.equal(isCompressible([]), true)
})
