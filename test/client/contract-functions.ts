// wrap, writeThrough and errors of factories, whatever is behind the client.
import assert from 'node:assert/strict'
import { type TestContext, it } from 'node:test'

import type { CacheClient } from '../../src/index.ts'
import { eventually } from '../support/clock.ts'

const INVALID = 'FST_RESPONSE_CACHE_INVALID_ARGUMENT'

export function functionsContract(open: (t: TestContext) => Promise<CacheClient>): void {
  it('runs a wrapped function once for the same arguments', async (t) => {
    const cache = await open(t)
    const calls: unknown[][] = []
    const add = cache.wrap('add', async (a: number, b: { c?: number | string }) => {
      calls.push([a, b])
      return { sum: a + Number(b.c ?? 0) }
    })
    assert.deepEqual(await add(1, { c: 2 }), { sum: 3 })
    assert.deepEqual(await add(1, { c: 2 }), { sum: 3 })
    await add(1, { c: '2' })
    await add(2, { c: 2 })
    await add(1, {})
    await add(1, { c: undefined } as object)
    assert.equal(calls.length, 5)
    assert.equal(add.keyOf(1, { c: 2 }), 'add(1,{"c":2})')
    assert.deepEqual(await cache.get('add(1,{"c":2})'), { sum: 3 })
  })

  it('forgets the result for some arguments, or by tags of arguments and result', async (t) => {
    const cache = await open(t)
    let runs = 0
    const user = cache.wrap('user', (id: number) => ({ team: id % 2, run: ++runs }), {
      tags: ([id], { team }) => [`user:${id}`, `team:${team}`],
    })
    const all = async (): Promise<number[]> => [
      (await user(1)).run,
      (await user(2)).run,
      (await user(3)).run,
    ]
    assert.deepEqual(await all(), [1, 2, 3])
    await user.invalidate(2)
    assert.deepEqual(await all(), [1, 4, 3])
    await cache.invalidateTags(['team:1'])
    assert.deepEqual(await all(), [5, 4, 6])
    await cache.invalidateTags(['user:3'])
    assert.deepEqual(await all(), [5, 4, 7])
  })

  it('takes what the option key says for the arguments, and a list of tags', async (t) => {
    const cache = await open(t)
    class Query {
      readonly id: number
      constructor(id: number) {
        this.id = id
      }
    }
    let runs = 0
    const find = cache.wrap('find', ({ id }: Query) => `${id} ${++runs}`, {
      key: ({ id }) => String(id),
      tags: ['found'],
      ttl: 100,
    })
    assert.deepEqual([await find(new Query(1)), await find(new Query(1))], ['1 1', '1 1'])
    assert.equal(await find(new Query(2)), '2 2')
    assert.ok((await cache.ttl(find.keyOf(new Query(1))))! <= 100)
    await cache.invalidateTags(['found'])
    assert.equal(await find(new Query(1)), '1 3')
  })

  it('does not run a function for arguments that make no key', async (t) => {
    const cache = await open(t)
    let runs = 0
    const run = cache.wrap('run', (..._args: unknown[]) => ++runs)
    const message = /the arguments of 'run' make no key: args\[1\]\.by is a function; .*option key/
    await assert.rejects(run(1, { by: () => 1 }), { code: INVALID, message })
    await assert.rejects(run.invalidate(Symbol('a')), { code: INVALID })
    const badKey = cache.wrap('bad', () => ++runs, { key: () => 5 as unknown as string })
    await assert.rejects(badKey(), /'bad': key must return a well-formed string/)
    assert.equal(runs, 0)
  })

  it('refuses what cannot be wrapped, and options that it does not know', async (t) => {
    const cache = await open(t)
    const fn = (): number => 1
    assert.throws(() => cache.wrap('', fn), { code: INVALID, message: /name of a wrapped/ })
    assert.throws(() => cache.wrap('a(b', fn), /without '\('/)
    assert.throws(() => cache.wrap('a', 5 as never), /'a' must be a function/)
    assert.throws(() => cache.wrap('a', fn, { key: 'x' as never }), /key must be a function/)
    assert.throws(() => cache.wrap('a', fn, { tll: 1 } as object), /'tll' is not an option/)
    assert.throws(() => cache.wrap('a', fn, { ttl: 0 }), /the ttl of 'a' must be/)
  })

  it('keeps no error of a wrapped function, and gives a rejection to all who wait', async (t) => {
    const cache = await open(t)
    let runs = 0
    const fail = cache.wrap('fail', async () => {
      runs++
      await Promise.resolve()
      if (runs === 1) throw new RangeError('first')
      return runs
    })
    const outcomes = await Promise.allSettled([fail(), fail(), fail()])
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected', 'rejected'],
    )
    assert.equal(await fail(), 2)
  })

  it('makes tags of what a factory made', async (t) => {
    const cache = await open(t)
    const tags = (value: { id: number }): string[] => [`id:${value.id}`]
    await cache.getOrSet('a', () => ({ id: 7 }), { tags })
    await cache.invalidateTags(['id:7'])
    assert.equal(await cache.has('a'), false)
    const wrong = cache.getOrSet('a', () => ({ id: 7 }), { tags: () => [''] })
    await assert.rejects(wrong, /the tags of 'a': a tag must not be empty/)
    assert.equal(await cache.has('a'), false)
  })

  it('gives an error again for its errorTtl, until an invalidation', async (t) => {
    const cache = await open(t)
    let runs = 0
    const get = (errorTtl?: number): Promise<never> =>
      cache.getOrSet(
        'a',
        () => {
          throw new RangeError(`run ${++runs}`)
        },
        { tags: ['x'], ...(errorTtl && { errorTtl }) },
      )
    const message = async (errorTtl?: number): Promise<string> =>
      get(errorTtl).catch((error: unknown) => {
        assert.ok(error instanceof RangeError)
        return error.message
      })
    assert.deepEqual([await message(60), await message(60)], ['run 1', 'run 1'])
    assert.equal(await message(), 'run 2')
    await cache.invalidateTags(['x'])
    assert.equal(await message(60), 'run 3')
    await cache.delete('a')
    assert.equal(await message(60), 'run 4')
    await cache.set('a', 'there', {})
    assert.equal(await get(60), 'there')
    await assert.rejects(get(-1), /the errorTtl of 'a' must be/)
  })

  it('keeps what was written through, and resolves with it as it is', async (t) => {
    const cache = await open(t)
    await cache.set('a', 'old')
    const value = { name: 'new' }
    const tags = ({ name }: { name: string }): string[] => [name]
    assert.equal(await cache.writeThrough('a', async () => value, { tags, ttl: 100 }), value)
    assert.deepEqual(await cache.get('a'), value)
    assert.ok((await cache.ttl('a'))! <= 100)
    await cache.invalidateTags(['new'])
    assert.equal(await cache.get('a'), undefined)
  })

  it('changes nothing when the write fails or its options are wrong', async (t) => {
    const cache = await open(t)
    await cache.set('a', 'old')
    const failing = cache.writeThrough('a', () => Promise.reject(new RangeError('refused')))
    await assert.rejects(failing, RangeError)
    let runs = 0
    for (const options of [{ ttl: -1 }, { errorTtl: 1 }, { coalesce: {} }]) {
      const wrong = cache.writeThrough('a', () => ++runs, options as object)
      await assert.rejects(wrong, { code: INVALID })
    }
    await assert.rejects(
      cache.writeThrough('', () => ++runs),
      { code: INVALID },
    )
    assert.deepEqual([runs, await cache.get('a')], [0, 'old'])
  })

  it('has written what it cannot keep, and has nothing older', async (t) => {
    const cache = await open(t)
    const date = new Date(0)
    const wrong: { tags?: () => string[] }[] = [{}, { tags: () => [''] }]
    for (const [n, options] of wrong.entries()) {
      await cache.set('a', 'old')
      const value = n === 0 ? date : 'new'
      assert.equal(await cache.writeThrough('a', () => value, options), value)
      assert.equal(await cache.get('a'), undefined)
      assert.equal(cache.stats().failures['cache.writeThrough'], n + 1)
    }
  })

  it('lets no factory that began before a write bring the old value back', async (t) => {
    const cache = await open(t)
    let source = 'old'
    let finish!: () => void
    const reading = cache.getOrSet('a', async () => {
      const read = source
      await new Promise<void>((resolve) => (finish = resolve))
      return read
    })
    await eventually('the factory runs', () => finish !== undefined)
    await cache.writeThrough('a', () => (source = 'new'))
    finish()
    assert.equal(await reading, 'old')
    assert.equal(await cache.get('a'), 'new')
  })

  it('keeps neither of two writes that overlap, and what is made then is right', async (t) => {
    const cache = await open(t)
    let source = ''
    let finish!: () => void
    const slow = cache.writeThrough('a', async () => {
      source = 'first'
      await new Promise<void>((resolve) => (finish = resolve))
      return 'first'
    })
    await eventually('it writes', () => finish !== undefined)
    await cache.writeThrough('a', () => (source = 'second'))
    assert.equal(await cache.get('a'), 'second')
    finish()
    assert.equal(await slow, 'first')
    assert.equal(await cache.get('a'), undefined)
    assert.equal(await cache.getOrSet('a', () => source), 'second')
  })
}
