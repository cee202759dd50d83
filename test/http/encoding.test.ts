import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { digest, encodePart, encodeParts } from '../../src/http/encoding.ts'

type Part = string | undefined

/** Every list of up to `length` parts, each `undefined` or up to two of the characters. */
function* allLists(characters: readonly string[], length: number): Generator<Part[]> {
  const pairs = characters.flatMap((a) => characters.map((b) => a + b))
  const parts: Part[] = [undefined, '', ...characters, ...pairs]
  let lists: Part[][] = [[]]
  for (let round = 0; round <= length; round++) {
    yield* lists
    lists = lists.flatMap((list) => parts.map((part) => [...list, part]))
  }
}

describe('encodeParts', () => {
  it('writes no two different lists alike, with the characters it uses itself', () => {
    const seen = new Map<string, Part[]>()
    for (const list of allLists(['1', ':', '-'], 3)) {
      const encoded = encodeParts(list)
      const other = seen.get(encoded)
      assert.equal(other, undefined, `${JSON.stringify(list)} and ${JSON.stringify(other)}`)
      seen.set(encoded, list)
    }
    assert.ok(seen.size > 2900)
  })

  it('can be read back, part by part, whatever the parts hold', () => {
    const part = fc.option(fc.string({ unit: 'binary' }), { nil: undefined })
    fc.assert(
      fc.property(fc.array(part), (parts) => {
        assert.deepEqual(decode(encodeParts(parts)), parts)
      }),
    )
  })

  it('keeps an absent part apart from an empty one and from a dash', () => {
    const encodings = [undefined, '', '-'].map(encodePart)
    assert.equal(new Set(encodings).size, 3)
  })
})

function decode(encoded: string): Part[] {
  const parts: Part[] = []
  let at = 0
  while (at < encoded.length) {
    if (encoded[at] === '-') {
      parts.push(undefined)
      at++
      continue
    }
    const colon = encoded.indexOf(':', at)
    const end = colon + 1 + Number(encoded.slice(at, colon))
    parts.push(encoded.slice(colon + 1, end))
    at = end
  }
  return parts
}

describe('digest', () => {
  it('is sha256 in 43 characters of base64url, whatever the length of the input', () => {
    // The digests of FIPS 180-2 for '' and 'abc'.
    assert.equal(digest(''), '47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
    assert.equal(digest('abc'), 'ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0')
    assert.match(digest('x'.repeat(1_000_000)), /^[\w-]{43}$/)
  })
})
