import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { type EncryptionKey, Sealing } from '../src/sealing.ts'
import { EntryFrames } from '../src/store/entry-frames.ts'
import { decodeEntry } from '../src/stored-response.ts'
import { makeEntry } from './store/entries.ts'

const NEW: EncryptionKey = { id: 'new', secret: randomBytes(32).toString('base64') }
const OLD: EncryptionKey = { id: 'old', secret: randomBytes(32) }
const POSITION = { epoch: '0123456789abcdef', seq: 42 }
const NAME = 'shop#e~group.name'

/** Where the parts of a sealed frame are, written down once more. */
const AT = { headLength: 4, epoch: 12, seq: 28, nonce: 44, key: 56, head: 72 }

const parts = (head: string, body: string) => ({ head: Buffer.from(head), body: Buffer.from(body) })
const sealing = new Sealing('shop', [NEW])

describe('Sealing', () => {
  it('gives back what was sealed, whatever it is and wherever it stands', () => {
    const bytes = fc.uint8Array().map((each) => Buffer.from(each))
    const position = fc.record({
      epoch: fc.stringMatching(/^[0-9a-f]{16}$/),
      seq: fc.maxSafeNat(),
    })
    fc.assert(
      fc.property(
        fc.string({ unit: 'grapheme' }),
        position,
        bytes,
        bytes,
        (name, at, head, body) => {
          const sealed = sealing.seal(name, at, { head, body })
          assert.deepEqual(sealing.open(name, sealed), { head, body })
          assert.deepEqual(sealing.openHead(name, sealed), head)
          assert.equal(sealed.toString('latin1', AT.epoch, AT.seq), at.epoch)
          assert.equal(Number(sealed.toString('latin1', AT.seq, AT.nonce)), at.seq)
        },
      ),
    )
  })

  it('opens nothing of which any one bit is another, the readable part included', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('head', 'body'))
    for (let bit = 0; bit < sealed.length * 8; bit++) {
      const flipped = Buffer.from(sealed)
      flipped[bit >> 3]! ^= 1 << (bit & 7)
      assert.equal(sealing.open(NAME, flipped), undefined, `bit ${bit}`)
    }
  })

  it('opens nothing that was cut off or has something behind it', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('head', 'body'))
    for (let length = 0; length < sealed.length; length++) {
      assert.equal(sealing.open(NAME, sealed.subarray(0, length)), undefined, `${length} bytes`)
    }
    assert.equal(sealing.open(NAME, Buffer.concat([sealed, Buffer.alloc(1)])), undefined)
  })

  it('opens nothing under another name', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('head', 'body'))
    assert.equal(sealing.open(`${NAME}x`, sealed), undefined)
    assert.equal(sealing.openHead(`${NAME}x`, sealed), undefined)
  })

  it('opens nothing at another position, nor the body of another', () => {
    const one = sealing.seal(NAME, POSITION, parts('head', 'one'))
    const two = sealing.seal(NAME, { ...POSITION, seq: 43 }, parts('head', 'two'))
    const moved = Buffer.from(one)
    two.copy(moved, AT.seq, AT.seq, AT.nonce)
    assert.equal(sealing.open(NAME, moved), undefined)
    const bodyAt = AT.head + 'head'.length + 16
    const mixed = Buffer.concat([one.subarray(0, bodyAt), two.subarray(bodyAt)])
    assert.equal(sealing.open(NAME, mixed), undefined)
    assert.ok(sealing.open(NAME, one))
  })

  it('opens nothing of another key, of the same id with another secret, or of another application', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('head', 'body'))
    for (const other of [
      new Sealing('shop', [OLD]),
      new Sealing('shop', [{ ...OLD, id: NEW.id }]),
      new Sealing('shop', [{ ...NEW, id: 'other' }]),
      new Sealing('shop2', [NEW]),
    ]) {
      assert.equal(other.open(NAME, sealed), undefined)
      assert.equal(other.openHead(NAME, sealed), undefined)
    }
  })

  it('opens nothing in bytes of other kinds', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('head', 'body'))
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        assert.equal(sealing.open(NAME, Buffer.from(bytes)), undefined)
        const begun = Buffer.concat([sealed.subarray(0, AT.head), bytes])
        assert.equal(sealing.open(NAME, begun), undefined)
      }),
      { numRuns: 1000 },
    )
    for (const length of ['00000000', '0000000f', 'ffffffff', '0000001G', '-0000001', '1e000000']) {
      const odd = Buffer.from(sealed)
      odd.write(length, AT.headLength)
      assert.equal(sealing.open(NAME, odd), undefined, length)
    }
  })

  it('says how much of a frame it takes to read the head', () => {
    const sealed = sealing.seal(NAME, POSITION, parts('h'.repeat(500), 'b'.repeat(5000)))
    const needed = sealing.openHead(NAME, sealed.subarray(0, 100))
    assert.equal(needed, AT.head + 500 + 16)
    assert.equal(
      (sealing.openHead(NAME, sealed.subarray(0, needed as number)) as Buffer).toString(),
      'h'.repeat(500),
    )
  })

  it('seals the same twice in two ways, neither of which tells what it is', () => {
    const secret = 'nobody reads this '.repeat(20)
    const sealed = [1, 2].map(() => sealing.seal(NAME, POSITION, parts(secret, secret)))
    assert.notDeepEqual(sealed[0], sealed[1])
    assert.notDeepEqual(
      sealed[0]!.subarray(AT.nonce, AT.key),
      sealed[1]!.subarray(AT.nonce, AT.key),
    )
    for (const each of sealed) assert.ok(!each.includes('nobody'))
  })

  it('opens with a key that was added in front and with the one before, until that is removed', () => {
    const before = new Sealing('shop', [OLD])
    const both = new Sealing('shop', [NEW, OLD])
    const after = new Sealing('shop', [NEW])
    const old = before.seal(NAME, POSITION, parts('h', 'old'))
    const young = both.seal(NAME, POSITION, parts('h', 'new'))
    assert.equal(both.open(NAME, old)?.body.toString(), 'old')
    assert.equal(both.open(NAME, young)?.body.toString(), 'new')
    assert.equal(after.open(NAME, young)?.body.toString(), 'new')
    assert.equal(after.open(NAME, old), undefined)
    assert.equal(before.open(NAME, young), undefined)
  })

  it('keeps names when a key is added in front, and shares a name of a tag at every step', () => {
    const before = new Sealing('shop', [OLD])
    const both = new Sealing('shop', [NEW, OLD])
    const after = new Sealing('shop', [NEW])
    assert.equal(before.nameOf('r:1'), both.nameOf('r:1'))
    assert.equal(before.groupNameOf('r'), both.groupNameOf('r'))
    assert.notEqual(both.nameOf('r:1'), after.nameOf('r:1'))
    assert.notEqual(before.nameOf('r:1'), before.nameOf('r:2'))
    assert.notEqual(before.nameOf('r'), before.groupNameOf('r'))
    const [one] = before.tagNames('t:=a')
    const two = both.tagNames('t:=a')
    const [three] = after.tagNames('t:=a')
    assert.deepEqual(two, [three, one])
    assert.notEqual(one, three)
    assert.notEqual(one, before.tagNames('t:=b')[0])
  })

  it('knows its equals', () => {
    const same = new Sealing('shop', [NEW, OLD])
    assert.ok(same.equals(new Sealing('shop', [NEW, { ...OLD }])))
    for (const other of [
      new Sealing('shop', [OLD, NEW]),
      new Sealing('shop', [NEW]),
      new Sealing('other', [NEW, OLD]),
    ]) {
      assert.ok(!same.equals(other))
    }
  })
})

describe('golden sealed frame', () => {
  const key = { id: 'k1', secret: 'golden secret of 32 characters, no more' }
  const frames = new EntryFrames({
    namespace: 'shop',
    sealing: new Sealing('shop', [key], () => Buffer.alloc(12, 7)),
  })
  const entry = makeEntry({ storedAt: 1_700_000_000_000, body: 'Zürich, 東京 and 🦊' })
  let root = import.meta.dirname
  while (!existsSync(join(root, 'package.json'))) root = dirname(root)
  const file = join(root, 'test', 'fixtures', 'frames', 'frs1-text.bin')
  const name = frames.nameOf('r:text')

  it('has today the name and the bytes that it has on file', () => {
    assert.equal(name, 'shop#e~4rvOIuJx9bc.w4kn8EVZhnRHQyX3FqcQvT-EEL4mYdXCm7NUe3sTySk')
    assert.deepEqual(frames.encode('r:text', name, entry), readFileSync(file))
  })

  it('is read from the bytes on file', () => {
    const opened = frames.open('r:text', name, readFileSync(file))
    assert.deepEqual(decodeEntry('shop#r:text', opened!), entry)
  })
})
