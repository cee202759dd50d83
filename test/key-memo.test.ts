import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { KeyMemo, type KnownTarget } from '../src/key-memo.ts'
import type { Policy } from '../src/policy.ts'

const POLICY = {} as Policy

function target(url: string, host = 'shop.example', originalUrl = url): KnownTarget {
  const known = { policy: POLICY, url, host, originalUrl, protocol: 'http', query: [] }
  return { ...known, canonical: url, key: `r:${url}`, memoized: false, next: undefined }
}

const find = (memo: KeyMemo, url: string, host = 'shop.example'): KnownTarget | undefined =>
  memo.find(url, POLICY, { host, protocol: 'http', originalUrl: url })

describe('the memory of request targets', () => {
  it('finds what was added, under its own host only', () => {
    const memo = new KeyMemo()
    const [one, two] = [target('/a'), target('/a', 'other.example')]
    memo.add(one)
    memo.add(one)
    memo.add(two)
    assert.equal(find(memo, '/a'), one)
    assert.equal(find(memo, '/a', 'other.example'), two)
    assert.equal(find(memo, '/a', 'third.example'), undefined)
    assert.equal(memo.size, 2)
  })

  it('stays small however many URLs are hot, and keeps those that are asked for', () => {
    const memo = new KeyMemo()
    for (let n = 0; n < 20_000; n++) {
      memo.add(target(`/${n}`))
      if (n === 0 || n % 1000 === 0) assert.notEqual(find(memo, '/0'), undefined)
    }
    assert.ok(memo.size <= 4096, `${memo.size}`)
    assert.equal(find(memo, '/5'), undefined)
  })

  it('stays small however many hosts one URL is asked for under', () => {
    const memo = new KeyMemo()
    for (let n = 0; n < 20_000; n++) memo.add(target(`/${n % 500}`, `host${n}.example`))
    assert.ok(memo.size <= 4200, `${memo.size}`)
  })

  it('takes in nothing that is long: neither URL nor host nor the URL before a rewrite', () => {
    const memo = new KeyMemo()
    const long = 'x'.repeat(1100)
    for (const each of [target(`/${long}`), target('/a', long), target('/a', 'b', long)]) {
      memo.add(each)
    }
    assert.equal(memo.size, 0)
  })
})
