import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import {
  encodingNormalizer,
  languageNormalizer,
  originNormalizer,
  weights,
} from '../../src/http/negotiation.ts'

const odd = fc.oneof(
  fc.string({
    unit: fc.constantFrom('gzip', 'br', '*', 'de', '-', 'at', ';', 'q=', '0', '.5', '1', ',', ' '),
  }),
  fc.string({ unit: 'binary' }),
)

describe('weights', () => {
  it('reads members in any case, their weights, and the first of those that repeat', () => {
    const field = 'De , en;q=0.5, fr ; Q=0.333333,, de;q=0, it;q=1.000, *;q=0'
    assert.deepEqual(
      [...weights(field)],
      [
        ['de', 1],
        ['en', 0.5],
        ['fr', 0.333333],
        ['it', 1],
        ['*', 0],
      ],
    )
  })

  it('skips members whose weight is none', () => {
    for (const weight of ['q=2', 'q=1.1', 'q=-1', 'q=', 'q', 'q=a', 'q=.5', '', 'x=1', 'q=1;x=2']) {
      assert.deepEqual([...weights(`a;${weight}, b`)], [['b', 1]], weight)
    }
  })

  it('never throws, and weighs from 0 to 1', () => {
    fc.assert(
      fc.property(odd, (value) => {
        for (const [, weight] of weights(value)) assert.ok(weight >= 0 && weight <= 1)
      }),
    )
  })
})

describe('encodingNormalizer', () => {
  const reduce = encodingNormalizer(['br', 'gzip', 'identity'])
  const table: [value: string, expected: string][] = [
    ['gzip, deflate, br', 'br'],
    ['br;q=1.0, gzip;q=1.0', 'br'],
    ['gzip, br;q=0.9', 'gzip'],
    ['GZIP', 'gzip'],
    ['x-gzip', 'gzip'],
    ['x-br', 'identity'],
    ['deflate', 'identity'],
    ['', 'identity'],
    ['identity', 'identity'],
    ['identity, gzip', 'gzip'],
    ['identity, gzip;q=0.5', 'identity'],
    ['gzip;q=0', 'identity'],
    ['gzip;q=0, br;q=0', 'identity'],
    ['*', 'br'],
    ['*, br;q=0', 'gzip'],
    ['*;q=0.5, gzip;q=0.2, br;q=0.1', 'identity'],
    ['*;q=0, gzip', 'gzip'],
    ['identity;q=0, gzip;q=0.1', 'gzip'],
    // Nothing is acceptable: such requests share with none but themselves.
    ['identity;q=0', 'identity;q=0'],
    ['*;q=0', '*;q=0'],
    ['identity;q=0, deflate', 'identity;q=0, deflate'],
  ]
  for (const [value, expected] of table) {
    it(`reduces '${value}' to '${expected}'`, () => assert.equal(reduce(value), expected))
  }

  it('never chooses a coding that the client refuses, nor one that nobody has', () => {
    fc.assert(
      fc.property(odd, (value) => {
        const chosen = reduce(value)!
        assert.ok(['br', 'gzip', 'identity', value].includes(chosen))
        if (chosen !== value) assert.notEqual(weights(value).get(chosen), 0)
      }),
      { numRuns: 1000 },
    )
  })
})

describe('languageNormalizer', () => {
  const reduce = languageNormalizer(['de', 'en', 'fr-CA'])
  const table: [value: string, expected: string | undefined][] = [
    ['en, de', 'de'],
    ['de, en', 'de'],
    ['eN, De', 'de'],
    [' en ,   de', 'de'],
    ['fr;q=0.5, de;q=1.0', 'de'],
    ['en, de;q=0.9', 'en'],
    ['en-US, en;q=0.9', 'en'],
    ['de-AT', 'de'],
    ['de-AT;q=0.4, en;q=0.3', 'de'],
    ['fr', 'fr-CA'],
    ['fr-CA', 'fr-CA'],
    ['fr-ca;q=0.1, fr;q=0.9, en;q=0.5', 'en'],
    ['fr-CA;q=0, fr', undefined],
    ['*', 'de'],
    ['*, de;q=0', 'en'],
    ['*;q=0.5, en', 'en'],
    ['it', undefined],
    ['d', undefined],
    ['den', undefined],
    ['', undefined],
    ['de;q=0', undefined],
    ['de-AT;q=0, en;q=0.1', 'en'],
  ]
  for (const [value, expected] of table) {
    it(`reduces '${value}' to ${expected}`, () => assert.equal(reduce(value), expected))
  }

  it('takes no account of the order in which equals are listed', () => {
    const range = fc.constantFrom('de', 'en', 'fr', 'de-AT', 'it', 'en;q=0.5', 'fr-CA;q=0.8', '*')
    const list = fc.uniqueArray(range, { selector: (one) => one.split(';')[0] })
    fc.assert(
      fc.property(list, (ranges) => {
        assert.equal(reduce(ranges.join()), reduce([...ranges].reverse().join(' , ')))
      }),
    )
  })

  it('never throws, and gives one of its languages or none', () => {
    fc.assert(
      fc.property(odd, (value) => {
        assert.ok([undefined, 'de', 'en', 'fr-CA'].includes(reduce(value)))
      }),
    )
  })
})

describe('originNormalizer', () => {
  it('writes scheme and host in lower case', () => {
    const reduce = originNormalizer()
    assert.equal(reduce('HTTPS://A.Example:8443'), 'https://a.example:8443')
    assert.equal(reduce('null'), 'null')
    assert.equal(reduce('https://\xc4.example'), 'https://\xc4.example')
  })

  it('makes one value of all origins that are not allowed, which is no origin', () => {
    const reduce = originNormalizer(['https://A.example', 'null'])
    assert.equal(reduce('https://a.EXAMPLE'), 'https://a.example')
    assert.equal(reduce('null'), 'null')
    for (const other of [
      'https://b.example',
      'https://a.example:443',
      'http://a.example',
      '',
      'x',
    ]) {
      assert.equal(reduce(other), '')
    }
  })

  it('never makes an allowed origin of another', () => {
    const allowed = ['https://a.example', 'http://b.example:81']
    const reduce = originNormalizer(allowed)
    const near = fc.string({
      unit: fc.constantFrom('https://', 'http://', 'a', 'b', '.example', ':81', 'A'),
    })
    fc.assert(
      fc.property(near, (value) => {
        assert.equal(
          reduce(value),
          allowed.includes(value.toLowerCase()) ? value.toLowerCase() : '',
        )
      }),
    )
  })
})
