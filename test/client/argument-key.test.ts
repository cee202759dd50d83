import assert from 'node:assert/strict'
import { isDeepStrictEqual } from 'node:util'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { encodeArguments } from '../../src/argument-key.ts'

const encode = (...args: unknown[]): string => encodeArguments('fn', args)

/** Everything that can be a key, and much that looks alike. */
const leaf = fc.oneof(
  fc.constantFrom<unknown>(undefined, null, true, false, 0, -0, NaN, Infinity, -Infinity),
  fc.constantFrom<unknown>(
    '',
    '0',
    '1',
    'null',
    'undefined',
    'NaN',
    '1n',
    '[]',
    '{}',
    ',',
    '"',
    '_',
  ),
  fc.constantFrom<unknown>('Date(0)', 'Set()', 'Buffer()', '\ud800', '\udc00', '\ufffd'),
  fc.integer({ min: -2, max: 2 }),
  fc.double(),
  fc.bigInt({ min: -2n, max: 2n }),
  fc.string({ unit: 'binary' }),
  fc.date({ noInvalidDate: false }),
  fc.uint8Array({ maxLength: 3 }),
  fc.uint8Array({ maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
  fc.uint16Array({ maxLength: 2 }),
  fc.float64Array({ maxLength: 2 }),
)
const argument = fc.letrec<{ any: unknown }>((tie) => ({
  any: fc.oneof(
    { depthSize: 'small', withCrossShrink: true },
    leaf,
    fc.array(tie('any'), { maxLength: 3 }),
    fc.sparseArray(tie('any'), { maxLength: 3, maxNumElements: 3 }),
    fc.dictionary(fc.constantFrom('a', 'b', '1', '', '__proto__', 'toJSON'), tie('any'), {
      maxKeys: 3,
    }),
    fc.array(fc.tuple(tie('any'), tie('any')), { maxLength: 2 }).map((pairs) => new Map(pairs)),
    fc.array(tie('any'), { maxLength: 3 }).map((items) => new Set(items)),
  ),
})).any

/** Equal for a function that does not look at the order of names: but Map and Set have one. */
function same(a: unknown, b: unknown): boolean {
  return isDeepStrictEqual(ordered(a), ordered(b))
}

function ordered(value: unknown): unknown {
  if (value instanceof Map) return ['Map', [...value].map(([k, v]) => [ordered(k), ordered(v)])]
  if (value instanceof Set) return ['Set', [...value].map(ordered)]
  if (value instanceof Date) return ['Date', value.getTime()]
  if (ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) {
    const indices = Object.keys(value).map((at) => [at, ordered(value[Number(at)])])
    return ['Array', value.length, indices]
  }
  if (value === null || typeof value !== 'object') return value
  return [
    'Object',
    Object.entries(value)
      .map(([name, item]) => [name, ordered(item)])
      .sort(byName),
  ]
}

function byName([a]: unknown[], [b]: unknown[]): number {
  return String(a) < String(b) ? -1 : 1
}

describe('arguments as a key', () => {
  it('are the same text exactly when they are the same arguments', () => {
    fc.assert(
      fc.property(
        fc.array(argument, { maxLength: 3 }),
        fc.array(argument, { maxLength: 3 }),
        (a, b) => {
          assert.equal(encode(...a) === encode(...b), same(a, b))
        },
      ),
      { numRuns: 2000 },
    )
  })

  it('are the same text for a copy with the names in another order', () => {
    const shuffled = (value: unknown): unknown => {
      if (Array.isArray(value)) return Object.assign(Array(value.length), value.map(shuffled))
      if (
        value === null ||
        typeof value !== 'object' ||
        Object.getPrototypeOf(value) !== Object.prototype
      )
        return value
      return Object.fromEntries(
        Object.entries(value)
          .reverse()
          .map(([name, item]) => [name, shuffled(item)]),
      )
    }
    fc.assert(
      fc.property(fc.dictionary(fc.string(), argument), (value) => {
        assert.equal(encode(shuffled(value)), encode(value))
      }),
    )
  })

  const readable: [text: string, args: unknown[]][] = [
    ['', []],
    ['undefined', [undefined]],
    ['1,"1",1n,-0,true,null', [1, '1', 1n, -0, true, null]],
    ['{"a":[1,_,undefined],"b":{}}', [{ b: {}, a: Object.assign([1], { 2: undefined }) }]],
    ['Date(0),Date(NaN)', [new Date(0), new Date(NaN)]],
    ['Map([1,"a"]),Set(1)', [new Map([[1, 'a']]), new Set([1])]],
    ['Uint8Array(AQI=),Buffer(AQI=)', [Uint8Array.of(1, 2), Buffer.of(1, 2)]],
    ['"\\ud800"', ['\ud800']],
    ['{"a":1}', [Object.assign(Object.create(null), { a: 1 })]],
  ]
  for (const [text, args] of readable) {
    it(`are ${text === '' ? 'nothing without arguments' : text}`, () => {
      assert.equal(encode(...args), text)
      assert.ok(encode(...args).isWellFormed())
    })
  }

  class Account {
    id = 1
  }
  const loop: { list: unknown[] } = { list: [] }
  loop.list.push({ loop })
  const refused: [what: string, args: unknown[], place: string][] = [
    ['a function', [() => 1], 'args[0] is a function'],
    ['a symbol in an object', [1, { a: [Symbol('s')] }], 'args[1].a[0] is a symbol'],
    [
      'an instance of a class',
      [{ 'a b': new Account() }],
      'args[0]["a b"] is an instance of Account',
    ],
    ['a regular expression', [/a/], 'args[0] is a RegExp'],
    ['a URL', [new URL('http://a/')], 'args[0] is a URL'],
    ['an error', [new RangeError('x')], 'args[0] is a RangeError'],
    ['a promise', [Promise.resolve()], 'args[0] is a Promise'],
    ['a cycle', [loop], 'args[0].list[0].loop is a cycle'],
    ['a symbol as a name', [{ [Symbol('s')]: 1 }], 'args[0] is an object with a symbol as a key'],
    ['a list with names', [Object.assign([1], { extra: 1 })], 'args[0] is a list with names'],
    ['a date with names', [Object.assign(new Date(), { extra: 1 })], 'args[0] is a Date'],
    ['a kind of Array', [new (class List extends Array {})()], 'args[0] is an instance of List'],
    ['a kind of Map', [new (class Index extends Map {})()], 'args[0] is an instance of Index'],
    ['an object of no class', [Object.create({ inherited: 1 })], 'args[0] is an object'],
    ['a very long text', [{ a: 'x'.repeat(1_000_001) }], 'args[0].a is too long'],
  ]
  for (const [what, args, place] of refused) {
    it(`are refused when there is ${what}`, () => {
      assert.throws(() => encode(...args), {
        code: 'FST_RESPONSE_CACHE_INVALID_ARGUMENT',
        message: `the arguments of 'fn' make no key: ${place}; give the wrapped function the option key: (...args) => string`,
      })
    })
  }

  it('are refused when they are nested without measure, or share parts beyond it', () => {
    let deep: unknown[] = []
    for (let n = 0; n < 100_000; n++) deep = [deep]
    assert.throws(() => encode(deep), /nested too deeply|too long/)
    let wide: unknown = 'x'
    for (let n = 0; n < 64; n++) wide = [wide, wide]
    assert.throws(() => encode(wide), /too long/)
  })
})
