import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { type Fenced, LogTable } from '../../src/invalidation/log-table.ts'

const TAGS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** Remembers everything for ever, and looks through all of it. */
class Model {
  readonly #invalidated: { tag: string; seq: number }[] = []
  floor = 0
  highest = 0

  merge(tag: string, seq: number): void {
    this.#invalidated.push({ tag, seq })
    this.highest = Math.max(this.highest, seq)
  }

  raiseFloor(seq: number): void {
    this.floor = Math.max(this.floor, seq)
    this.highest = Math.max(this.highest, seq)
  }

  allows(entry: Fenced): boolean {
    if (entry.seq < this.floor) return false
    return !this.#invalidated.some(({ tag, seq }) => entry.tags.includes(tag) && seq > entry.seq)
  }
}

interface Pair {
  table: LogTable
  entries: Fenced[]
}

class Merge implements fc.Command<Model, Pair> {
  readonly tag: string
  readonly seq: number
  constructor(tag: string, seq: number) {
    this.tag = tag
    this.seq = seq
  }
  check = (): boolean => true
  run(model: Model, { table }: Pair): void {
    model.merge(this.tag, this.seq)
    table.merge(this.tag, this.seq)
  }
  toString = (): string => `merge(${this.tag}, ${this.seq})`
}

class RaiseFloor implements fc.Command<Model, Pair> {
  readonly seq: number
  constructor(seq: number) {
    this.seq = seq
  }
  check = (): boolean => true
  run(model: Model, { table }: Pair): void {
    model.raiseFloor(this.seq)
    table.raiseFloor(this.seq)
  }
  toString = (): string => `raiseFloor(${this.seq})`
}

class Compare implements fc.Command<Model, Pair> {
  readonly entry: Fenced
  readonly exact: boolean
  constructor(entry: Fenced, exact: boolean) {
    this.entry = entry
    this.exact = exact
  }
  check = (): boolean => true
  run(model: Model, { table }: Pair): void {
    const [allowed, valid] = [table.allows(this.entry), model.allows(this.entry)]
    if (allowed) assert.ok(valid, 'the table allows what was invalidated')
    if (this.exact) assert.equal(allowed, valid)
    // Whatever was forgotten: what is computed now can be used.
    assert.ok(table.allows({ ...this.entry, seq: Math.ceil(model.highest) }))
  }
  toString = (): string => `compare(${JSON.stringify(this.entry)})`
}

/** Seqs of the log, and the half steps of what this process forgot by itself. */
const seq = fc.nat({ max: 40 }).map((n) => n / 2)
const tag = fc.constantFrom(...TAGS)
const fenced = fc.record({
  epoch: fc.constant('e'),
  seq: fc.nat({ max: 20 }),
  tags: fc.uniqueArray(tag, { maxLength: 4 }),
})

function commands(exact: boolean): fc.Arbitrary<Iterable<fc.Command<Model, Pair>>> {
  return fc.commands(
    [
      fc.tuple(tag, seq).map(([name, at]) => new Merge(name, at)),
      fc.tuple(tag, seq).map(([name, at]) => new Merge(name, at)),
      seq.map((at) => new RaiseFloor(at)),
      fenced.map((entry) => new Compare(entry, exact)),
      fenced.map((entry) => new Compare(entry, exact)),
    ],
    { maxCommands: 60 },
  )
}

describe('LogTable', () => {
  it('allows exactly what nothing was invalidated of, while it forgets nothing', () => {
    fc.assert(
      fc.property(commands(true), (list) => {
        fc.modelRun(
          () => ({ model: new Model(), real: { table: new LogTable(100), entries: [] } }),
          list,
        )
      }),
      { numRuns: 500 },
    )
  })

  it('never allows what was invalidated, however much it had to forget', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), commands(false), (maxTags, list) => {
        const real = { table: new LogTable(maxTags), entries: [] }
        fc.modelRun(() => ({ model: new Model(), real }), list)
      }),
      { numRuns: 500 },
    )
  })

  it('never holds more tags than it may', () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), fc.array(fc.tuple(fc.string(), seq)), (maxTags, merges) => {
        const table = new LogTable(maxTags)
        for (const [name, at] of merges) {
          table.merge(name, at)
          assert.ok(table.size <= maxTags)
        }
      }),
    )
  })

  it('comes to the same in any order, and when everything comes twice', () => {
    const change = fc.oneof(fc.tuple(tag, seq), fc.tuple(fc.constant('all'), seq))
    const apply = (changes: readonly [string, number][]): LogTable => {
      const table = new LogTable(100)
      for (const [name, at] of changes) {
        if (name === 'all') table.raiseFloor(at)
        else table.merge(name, at)
      }
      return table
    }
    fc.assert(
      fc.property(
        fc.array(change),
        fc.array(fenced),
        fc.infiniteStream(fc.nat()),
        (changes, entries, order) => {
          const twice = [...changes, ...changes]
            .map((each) => ({ each, at: order.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each)
          const [once, mixed] = [apply(changes), apply(twice)]
          for (const entry of entries) assert.equal(once.allows(entry), mixed.allows(entry))
        },
      ),
    )
  })

  it('has another version after each change that could make an answer another one', () => {
    const step = fc.oneof(fc.tuple(tag, seq), fc.tuple(fc.constant('all'), seq))
    fc.assert(
      fc.property(
        fc.array(step),
        fenced,
        fc.integer({ min: 1, max: 6 }),
        (steps, entry, maxTags) => {
          const table = new LogTable(maxTags)
          for (const [name, at] of steps) {
            const before = { version: table.version, allowed: table.allows(entry) }
            if (name === 'all') table.raiseFloor(at)
            else table.merge(name, at)
            assert.ok(table.version >= before.version)
            if (table.allows(entry) !== before.allowed) assert.ok(table.version > before.version)
          }
        },
      ),
    )
  })

  it('does not change its version when nothing changes', () => {
    const table = new LogTable(10)
    table.merge('a', 5)
    table.raiseFloor(2)
    const { version } = table
    table.merge('a', 5)
    table.merge('a', 4)
    table.raiseFloor(2)
    table.raiseFloor(1)
    assert.equal(table.version, version)
  })

  it('allows an entry that is as new as the last invalidation of its tag', () => {
    const table = new LogTable(10)
    table.merge('a', 5)
    assert.equal(table.allows({ epoch: 'e', seq: 4, tags: ['a'] }), false)
    assert.equal(table.allows({ epoch: 'e', seq: 5, tags: ['a'] }), true)
    table.raiseFloor(6)
    assert.equal(table.allows({ epoch: 'e', seq: 5, tags: [] }), false)
    assert.equal(table.allows({ epoch: 'e', seq: 6, tags: [] }), true)
  })

  it('does not take a floor that is no number for none', () => {
    const table = new LogTable(10)
    table.raiseFloor(5)
    table.raiseFloor(NaN)
    assert.equal(table.allows({ epoch: 'e', seq: 4, tags: [] }), false)
  })

  it('forgets the oldest tags first', () => {
    const table = new LogTable(10)
    for (let n = 1; n <= 11; n++) table.merge(`tag${n}`, n)
    assert.equal(table.lastSeq('tag1'), undefined)
    assert.equal(table.lastSeq('tag11'), 11)
    assert.ok(table.floor < 11 && table.floor > 0)
  })

  it('takes a tag for as old as its last invalidation', () => {
    const table = new LogTable(10)
    for (let n = 1; n <= 10; n++) table.merge(`tag${n}`, n)
    table.merge('tag1', 11)
    table.merge('tag11', 12)
    assert.equal(table.lastSeq('tag1'), 11)
    assert.equal(table.lastSeq('tag2'), undefined)
    assert.ok(table.floor < 11)
  })
})
