import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import {
  type Compared,
  type Difference,
  differenceOf,
  steadyPart,
} from '../src/audit-comparison.ts'

const IGNORED = { fields: new Set(['x-build']), pointers: [['at']] }
const JSON_TYPE = ['content-type', 'application/json; charset=utf-8'] as const

function json(value: unknown, ...headers: Compared['headers']): Compared {
  return { status: 200, headers: [JSON_TYPE, ...headers], body: JSON.stringify(value) }
}

function text(body: Compared['body'], ...headers: Compared['headers']): Compared {
  return { status: 200, headers, body }
}

const CASES: Record<string, [served: Compared, now: Compared, expected: Difference | undefined]> = {
  'the same texts': [text('a'), text('a'), undefined],
  'a text and the same bytes': [text('ä'), text(Buffer.from('ä')), undefined],
  'no body and an empty one': [text(undefined), text(''), undefined],
  texts: [text('abcd'), text('abxd'), { offset: 2 }],
  'a text and more of it': [text('äb'), text('äbc'), { offset: 3 }],
  bytes: [text(Buffer.from([1, 2])), text(Buffer.from([0, 2])), { offset: 0 }],
  'JSON of another form': [json({ a: 1, b: 2 }), json({ b: 2, a: 1 }), undefined],
  JSON: [json({ a: 1 }), json({ a: 2 }), { pointers: ['/a'] }],
  'JSON at a place to be ignored': [json({ at: 1 }), json({ at: 2 }), undefined],
  'JSON and none': [json({ a: 1 }), { ...json(0), body: '{"a":' }, { offset: 5 }],
  'a JSON and a text': [json({ a: 1 }), text('{"a":2}'), { fields: ['content-type'], offset: 5 }],
  'packed JSON': [
    json({ a: 1 }, ['content-encoding', 'br']),
    json({ a: 2 }, ['content-encoding', 'br']),
    { offset: 5 },
  ],
  'large JSON': [
    json({ a: 'x'.repeat(300_000) }),
    json({ a: 'x'.repeat(299_999) }),
    { offset: 300_005 },
  ],
  'fields of the moment': [
    text('', ['date', 'a'], ['x-request-id', '1'], ['etag', '"1"'], ['x-ratelimit-limit', '5']),
    text('', ['date', 'b'], ['x-request-id', '2'], ['etag', '"2"']),
    undefined,
  ],
  'fields to be ignored': [text('', ['x-build', '1']), text('', ['x-build', '2']), undefined],
  fields: [
    text('', ['x-a', '1'], ['x-b', '1'], ['x-c', ['1', '2']]),
    text('', ['x-a', '2'], ['x-c', ['1', '3']]),
    { fields: ['x-a', 'x-b', 'x-c'] },
  ],
  'statuses, whatever else': [
    json({ a: 1 }),
    { ...json({ a: 2 }), status: 404 },
    { status: { served: 200, now: 404 } },
  ],
}

describe('what differs between', () => {
  for (const [title, [served, now, expected]] of Object.entries(CASES)) {
    it(title, () => assert.deepEqual(differenceOf(served, now, IGNORED), expected))
  }
})

const status = { served: 200, now: 404 }
const hundred = Array.from({ length: 100 }, (_, at) => `/${at}`)
const STEADY: [Difference | undefined, Difference | undefined, Difference | undefined][] = [
  [{ pointers: ['/a'] }, undefined, { pointers: ['/a'] }],
  [undefined, { pointers: ['/a'] }, undefined],
  [{ pointers: ['/a', '/b/c', '/d'] }, { pointers: ['/a/x', '/b'] }, { pointers: ['/d'] }],
  [{ pointers: ['/x'] }, { pointers: hundred }, undefined],
  [{ pointers: ['/x'] }, { offset: 3 }, undefined],
  [{ offset: 3 }, { offset: 5 }, undefined],
  [{ offset: 3 }, { fields: ['x-a'] }, { offset: 3 }],
  [{ offset: 3 }, { pointers: ['/a'] }, undefined],
  [{ fields: ['x-a', 'x-b'] }, { fields: ['x-a'] }, { fields: ['x-b'] }],
  [{ fields: ['x-a'] }, { fields: ['x-a'] }, undefined],
  [{ status }, { fields: ['x-a'] }, { status }],
  [{ pointers: ['/a'] }, { status }, undefined],
]

describe('what is steady of a difference', () => {
  for (const [difference, unsteady, expected] of STEADY) {
    const shown = JSON.stringify(unsteady)?.slice(0, 60)
    it(`${JSON.stringify(difference)}, where two runs differ at ${shown}`, () => {
      assert.deepEqual(steadyPart(difference, unsteady), expected)
    })
  }
})
