// What the cache client does, whatever is behind it. Run by memory.test.ts and redis.test.ts.
import assert from 'node:assert/strict'
import { type TestContext, it } from 'node:test'
import fc from 'fast-check'

import type { CacheClient } from '../../src/index.ts'

/** A promise and its ends: a factory that a test holds up. */
function held<T>(): { promise: Promise<T>; resolve: (value: T) => void } {
  let resolve!: (value: T) => void
  const promise = new Promise<T>((done) => (resolve = done))
  return { promise, resolve }
}

export function clientContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('gives back the value that was set', async (t) => {
    const cache = await open(t)
    assert.equal(await cache.get('user:1'), undefined)
    assert.equal(await cache.has('user:1'), false)
    assert.equal(await cache.set('user:1', { name: 'Ada', tags: ['a'] }), true)
    assert.deepEqual(await cache.get('user:1'), { name: 'Ada', tags: ['a'] })
    assert.equal(await cache.has('user:1'), true)
    assert.equal(await cache.has('user:2'), false)
  })

  it('keeps null, undefined and everything false, and tells them from nothing', async (t) => {
    const cache = await open(t)
    for (const value of [null, undefined, false, 0, '', [], {}]) {
      assert.equal(await cache.set('odd', value), true)
      assert.deepEqual(await cache.get('odd'), value)
      assert.equal(await cache.has('odd'), true)
    }
  })

  it('gives back any value that JSON can carry', async (t) => {
    const cache = await open(t)
    await fc.assert(
      fc.asyncProperty(fc.jsonValue(), async (value) => {
        await cache.set('json', value)
        assert.deepEqual(await cache.get('json'), JSON.parse(JSON.stringify(value)))
      }),
      { numRuns: 50 },
    )
  })

  it('gives each caller a value of its own', async (t) => {
    const cache = await open(t)
    await cache.set('list', [1])
    const first = (await cache.get<number[]>('list'))!
    first.push(2)
    assert.deepEqual(await cache.get('list'), [1])
    const made = await cache.getOrSet('made', () => [1])
    made.push(2)
    assert.deepEqual(await cache.getOrSet('made', () => [3]), [1])
  })

  it('replaces a value by one that is set later', async (t) => {
    const cache = await open(t)
    for (const value of ['a', 'b', 'c']) {
      await cache.set('key', value)
      assert.equal(await cache.get('key'), value)
    }
  })

  it('forgets a deleted value, and that of no other key', async (t) => {
    const cache = await open(t)
    await cache.set('a', 1)
    await cache.set('b', 2)
    await cache.delete('a')
    await cache.delete('never set')
    assert.equal(await cache.get('a'), undefined)
    assert.equal(await cache.has('a'), false)
    assert.equal(await cache.get('b'), 2)
    await cache.set('a', 3)
    assert.equal(await cache.get('a'), 3)
  })

  it('keeps keys apart, whatever their length and letters', async (t) => {
    const cache = await open(t)
    const long = 'x'.repeat(200)
    const keys = ['a', 'A', 'a ', 'ä', '🦊', '{a}', 'a*', 'd:a', long, `${long}y`, `${long}z`]
    for (const key of keys) await cache.set(key, `of ${key}`)
    for (const key of keys) assert.equal(await cache.get(key), `of ${key}`)
  })

  it('runs a factory once, and gives its value until that is invalidated', async (t) => {
    const cache = await open(t)
    let runs = 0
    const get = (): Promise<number> => cache.getOrSet('n', () => ++runs, { tags: ['numbers'] })
    assert.deepEqual([await get(), await get()], [1, 1])
    await cache.invalidateTags(['other'])
    assert.equal(await get(), 1)
    await cache.invalidateTags(['numbers'])
    assert.deepEqual([await get(), await get()], [2, 2])
    await cache.delete('n')
    assert.equal(await get(), 3)
  })

  it('runs an async factory, also one that makes null or nothing', async (t) => {
    const cache = await open(t)
    for (const value of [null, undefined, 'text']) {
      let runs = 0
      const factory = async (): Promise<unknown> => {
        runs++
        return value
      }
      const key = `made:${String(value)}`
      for (let n = 0; n < 3; n++) assert.equal(await cache.getOrSet(key, factory), value)
      assert.equal(runs, 1)
    }
  })

  it('gives on the first call what it will give on every other: what JSON makes of it', async (t) => {
    const cache = await open(t)
    const factory = (): unknown => ({ at: new Date(0), gone: undefined, odd: NaN })
    const lossy = { lossy: true }
    const expected = { at: '1970-01-01T00:00:00.000Z', odd: null }
    assert.deepEqual(await cache.getOrSet('date', factory, lossy), expected)
    assert.deepEqual(await cache.getOrSet('date', factory, lossy), expected)
  })

  it('runs one factory for 20 callers at once', async (t) => {
    const cache = await open(t)
    const value = held<string>()
    let runs = 0
    const factory = (): Promise<string> => {
      runs++
      return value.promise
    }
    const callers = Array.from({ length: 20 }, () => cache.getOrSet('shared', factory))
    value.resolve('made')
    assert.deepEqual(new Set(await Promise.all(callers)), new Set(['made']))
    assert.equal(runs, 1)
  })

  it('runs a failing factory once for 20 callers, who all get its error, and then anew', async (t) => {
    const cache = await open(t)
    const failure = new Error('no database')
    let runs = 0
    const failing = async (): Promise<never> => {
      runs++
      await Promise.resolve()
      throw failure
    }
    const callers = Array.from({ length: 20 }, () => cache.getOrSet('failing', failing))
    const outcomes = await Promise.allSettled(callers)
    for (const outcome of outcomes) {
      assert.equal(outcome.status === 'rejected' && outcome.reason, failure)
    }
    assert.equal(runs, 1)
    assert.equal(await cache.has('failing'), false)
    assert.equal(await cache.getOrSet('failing', () => 'works'), 'works')
  })

  it('gives the error of a factory that throws at once', async (t) => {
    const cache = await open(t)
    const factory = (): never => {
      throw new RangeError('at once')
    }
    await assert.rejects(cache.getOrSet('throwing', factory), RangeError)
    assert.equal(cache.stats().flights, 0)
  })

  it('does not keep what was made while its tag was invalidated', async (t) => {
    const cache = await open(t)
    const value = held<string>()
    const first = cache.getOrSet('slow', () => value.promise, { tags: ['a'] })
    await new Promise((resolve) => setImmediate(resolve))
    await cache.invalidateTags(['a'])
    value.resolve('from before')
    assert.equal(await first, 'from before')
    assert.equal(await cache.get('slow'), undefined)
    assert.equal(await cache.getOrSet('slow', () => 'new', { tags: ['a'] }), 'new')
    assert.equal(await cache.get('slow'), 'new')
  })

  it('gives nobody who came after an invalidation what was made before it', async (t) => {
    const cache = await open(t)
    const [before, after] = [held<string>(), held<string>()]
    const first = cache.getOrSet('fence', () => before.promise, { tags: ['a'] })
    await new Promise((resolve) => setImmediate(resolve))
    await cache.invalidateTags(['a'])
    const second = cache.getOrSet('fence', () => after.promise, { tags: ['a'] })
    before.resolve('from before')
    after.resolve('from after')
    assert.deepEqual(await Promise.all([first, second]), ['from before', 'from after'])
  })

  for (const [what, forget] of [
    ['set', (cache: CacheClient) => cache.set('busy', 'set')],
    ['deleted', (cache: CacheClient) => cache.delete('busy')],
    ['cleared', (cache: CacheClient) => cache.clear()],
  ] as const) {
    it(`does not let a factory that began before overwrite what was ${what}`, async (t) => {
      const cache = await open(t)
      const value = held<string>()
      const made = cache.getOrSet('busy', () => value.promise)
      await new Promise((resolve) => setImmediate(resolve))
      await forget(cache)
      value.resolve('from before')
      await made
      assert.equal(await cache.get('busy'), what === 'set' ? 'set' : undefined)
    })
  }

  it('forgets everything that carries a tag, and nothing else', async (t) => {
    const cache = await open(t)
    await cache.set('a', 1, { tags: ['x', 'y'] })
    await cache.set('b', 2, { tags: ['y'] })
    await cache.set('c', 3, { tags: ['z'] })
    await cache.set('d', 4)
    await cache.invalidateTags(['x', 'z'])
    const left = await Promise.all(['a', 'b', 'c', 'd'].map((key) => cache.get(key)))
    assert.deepEqual(left, [undefined, 2, undefined, 4])
    await cache.invalidateTags(['y'], { mode: 'purge' })
    assert.equal(await cache.get('b'), undefined)
    await cache.invalidateTags([])
    assert.equal(await cache.get('d'), 4)
  })

  it('does not mistake a key, a path or a route for a tag of that name', async (t) => {
    const cache = await open(t)
    await cache.set('/same', 1, { tags: ['tag'] })
    await cache.invalidateTags(['/same'])
    await cache.invalidateUrl('/same')
    await cache.invalidateRoute('/same')
    await cache.delete('tag')
    assert.equal(await cache.get('/same'), 1)
  })

  it('forgets everything when it is cleared, and goes on', async (t) => {
    const cache = await open(t)
    for (const key of ['a', 'b', 'c']) await cache.set(key, key)
    await cache.clear()
    for (const key of ['a', 'b', 'c']) assert.equal(await cache.get(key), undefined)
    await cache.set('a', 'again')
    assert.equal(await cache.get('a'), 'again')
  })

  it('does not keep a value that is too big, nor the one before it', async (t) => {
    const cache = await open(t)
    await cache.set('big', 'small')
    assert.equal(await cache.set('big', 'x'.repeat(9 * 1024 * 1024)), false)
    assert.equal(await cache.get('big'), undefined)
    const made = await cache.getOrSet('big', () => 'x'.repeat(9 * 1024 * 1024))
    assert.equal(made.length, 9 * 1024 * 1024)
    assert.equal(await cache.has('big'), false)
  })

  it('counts what it was asked', async (t) => {
    const cache = await open(t)
    const { values: before } = cache.stats()
    await cache.get('counted')
    await cache.set('counted', 1)
    await cache.get('counted')
    await cache.has('counted')
    await cache.getOrSet('counted', () => 2)
    await cache.getOrSet('other', () => 2)
    const { values } = cache.stats()
    assert.deepEqual(
      [values.hits - before.hits, values.misses - before.misses, values.sets - before.sets],
      [3, 2, 1],
    )
  })

  it('promises nothing any more once it is closed, and can be closed twice', async (t) => {
    const cache = await open(t)
    await cache.set('a', 1, { tags: ['x'] })
    await cache.close()
    await cache.close()
    for (const call of [cache.invalidateTags(['x']), cache.clear(), cache.delete('a')]) {
      await assert.rejects(call, { code: 'FST_RESPONSE_CACHE_CLOSED' })
    }
    assert.equal(await cache.set('a', 2), false)
    assert.notEqual(await cache.get('a'), 2)
  })
}
