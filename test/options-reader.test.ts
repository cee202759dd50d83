import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { InvalidOptionError } from '../src/errors.ts'
import { OptionsReader } from '../src/options-reader.ts'

const KNOWN = ['ttl', 'name', 'flag', 'count', 'list', 'fn', 'inner', 'mode', 'staleIfError']

function reader(values: unknown): OptionsReader {
  return new OptionsReader('plugin', values, KNOWN)
}

/** The message of the error that the option makes. */
function complaint(read: () => unknown): string {
  let message = ''
  assert.throws(read, (error: unknown) => {
    assert.ok(error instanceof InvalidOptionError)
    assert.equal((error as { code?: string }).code, 'FST_RESPONSE_CACHE_INVALID_OPTION')
    message = error.message
    return true
  })
  return message
}

describe('OptionsReader', () => {
  it('gives what is there, in the unit that the code uses', () => {
    const options = reader({
      ...{ ttl: '5m', name: 'x', flag: false, count: 3, list: ['a'], mode: 'soft' },
      inner: { deep: 1 },
      fn: Math.abs,
    })
    assert.equal(options.duration('ttl'), 300)
    assert.equal(options.text('name'), 'x')
    assert.equal(options.flag('flag'), false)
    assert.equal(options.integer('count', 1), 3)
    assert.deepEqual(options.strings('list'), ['a'])
    assert.equal(options.oneOf('mode', ['hard', 'soft']), 'soft')
    assert.equal(options.function('fn'), Math.abs)
    assert.equal(options.object('inner', ['deep'])?.integer('deep', 0), 1)
    assert.equal(options.has('ttl'), true)
    assert.equal(options.path('ttl'), 'plugin.ttl')
  })

  it('gives undefined for what is left out', () => {
    const options = reader({ ttl: undefined })
    assert.equal(options.has('ttl'), false)
    assert.equal(options.duration('ttl'), undefined)
    assert.equal(options.text('name'), undefined)
    assert.equal(options.flag('flag'), undefined)
    assert.equal(options.integer('count', 1), undefined)
    assert.equal(options.strings('list'), undefined)
    assert.equal(options.oneOf('mode', ['hard']), undefined)
    assert.equal(options.function('fn'), undefined)
    assert.equal(options.object('inner', []), undefined)
  })

  const wrong: [what: string, values: unknown, read: (options: OptionsReader) => unknown][] = [
    ['a ttl of 0', { ttl: 0 }, (options) => options.duration('ttl')],
    ['a ttl of null', { ttl: null }, (options) => options.duration('ttl')],
    ['a ttl in parsecs', { ttl: '5 parsecs' }, (options) => options.duration('ttl')],
    ['an empty text', { name: '' }, (options) => options.text('name')],
    ['a number as text', { name: 5 }, (options) => options.text('name')],
    ['text as a flag', { flag: 'yes' }, (options) => options.flag('flag')],
    ['a count below the least', { count: 0 }, (options) => options.integer('count', 1)],
    ['half a count', { count: 1.5 }, (options) => options.integer('count', 1)],
    ['a count that is no number', { count: '3' }, (options) => options.integer('count', 1)],
    ['a count beyond precision', { count: 2 ** 53 }, (options) => options.integer('count', 1)],
    ['text as a list', { list: 'a' }, (options) => options.strings('list')],
    ['a list with an empty text', { list: ['a', ''] }, (options) => options.strings('list')],
    ['a list with a number', { list: [1] }, (options) => options.strings('list')],
    ['a mode that is none', { mode: 'x' }, (options) => options.oneOf('mode', ['hard', 'soft'])],
    ['text as a function', { fn: 'abs' }, (options) => options.function('fn')],
    ['text as an object', { inner: 'x' }, (options) => options.object('inner', [])],
    ['a list as an object', { inner: [1] }, (options) => options.object('inner', [])],
    ['null as an object', { inner: null }, (options) => options.object('inner', [])],
  ]
  for (const [what, values, read] of wrong) {
    it(`refuses ${what}, and names the option and the value`, () => {
      const message = complaint(() => read(reader(values)))
      const [[name, value]] = Object.entries(values as object) as [[string, unknown]]
      assert.ok(message.startsWith(`plugin.${name} must be `), message)
      const shown = Array.isArray(value)
        ? '['
        : typeof value === 'string'
          ? `'${value}'`
          : String(value)
      assert.ok(message.includes(`got ${shown}`), message)
    })
  }

  it('refuses what is no object of options', () => {
    for (const values of [null, undefined, 5, 'x', []]) {
      assert.match(
        complaint(() => reader(values)),
        /^plugin must be an object, got /,
      )
    }
  })

  const near: [wrong: string, meant: string][] = [
    ['tll', 'ttl'],
    ['TTL', 'ttl'],
    ['lst', 'list'],
    ['lists', 'list'],
    ['modi', 'mode'],
    ['staleIf', 'staleIfError'],
    ['cont', 'count'],
    ['Count', 'count'],
  ]
  for (const [name, meant] of near) {
    it(`asks whether ${name} was meant to be ${meant}`, () => {
      const message = complaint(() => reader({ [name]: 1 }))
      assert.equal(message, `plugin.${name} is not an option; did you mean '${meant}'?`)
    })
  }

  it('lists what is known when nothing is near', () => {
    const message = complaint(() => reader({ zzzzzz: 1 }))
    assert.match(message, /^plugin\.zzzzzz is not an option; known are ttl, name, /)
  })

  it('names the whole path of an option within an option', () => {
    const inner = (): unknown => reader({ inner: { deap: 1 } }).object('inner', ['deep'])
    assert.equal(complaint(inner), "plugin.inner.deap is not an option; did you mean 'deep'?")
  })

  it('says what is expected together with the other things that are', () => {
    const message = complaint(() => reader({ ttl: -1 }).duration('ttl', ", or 'headers'"))
    assert.match(message, /'30s'.*, or 'headers', got -1$/)
  })
})
