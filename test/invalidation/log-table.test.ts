import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import fc from 'fast-check'

import { LogTable } from '../../src/invalidation/log-table.ts'
import type { Fenced, InvalidationMode, Verdict } from '../../src/invalidation/log.ts'

const TAGS = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h']

/** From the softest to the hardest. */
const VERDICTS: Verdict[] = ['valid', 'softened', 'expired', 'purged']
const VERDICT_OF = { soft: 'softened', expire: 'expired', purge: 'purged' } as const

const hardness = (verdict: Verdict): number => VERDICTS.indexOf(verdict)

/** Remembers everything for ever, and looks through all of it. */
class Model {
  readonly #invalidated: { tag: string; seq: number; mode: InvalidationMode }[] = []
  floor = 0
  highest = 0

  merge(tag: string, seq: number, mode: InvalidationMode): void {
    this.#invalidated.push({ tag, seq, mode })
    this.highest = Math.max(this.highest, seq)
  }

  raiseFloor(seq: number): void {
    this.floor = Math.max(this.floor, seq)
    this.highest = Math.max(this.highest, seq)
  }

  verdict(entry: Fenced): Verdict {
    if (entry.seq < this.floor) return 'purged'
    const verdicts = this.#invalidated
      .filter(({ tag, seq }) => entry.tags.includes(tag) && seq > entry.seq)
      .map(({ mode }) => VERDICT_OF[mode])
    return verdicts.reduce<Verdict>((a, b) => (hardness(a) > hardness(b) ? a : b), 'valid')
  }
}

interface Pair {
  table: LogTable
  entries: Fenced[]
}

class Merge implements fc.Command<Model, Pair> {
  readonly change: Change
  constructor(change: Change) {
    this.change = change
  }
  check = (): boolean => true
  run(model: Model, { table }: Pair): void {
    model.merge(...this.change)
    table.merge(...this.change)
  }
  toString = (): string => `merge(${this.change.join(', ')})`
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
    const [said, right] = [table.verdict(this.entry), model.verdict(this.entry)]
    assert.ok(hardness(said) >= hardness(right), `${said}, and it is ${right}`)
    if (this.exact) assert.equal(said, right)
    assert.equal(table.allows(this.entry), said === 'valid')
    // Whatever was forgotten: what is computed now can be used.
    assert.equal(table.verdict({ ...this.entry, seq: Math.ceil(model.highest) }), 'valid')
  }
  toString = (): string => `compare(${JSON.stringify(this.entry)})`
}

/** Seqs of the log, and the half steps of what this process forgot by itself. */
const seq = fc.nat({ max: 40 }).map((n) => n / 2)
const tag = fc.constantFrom(...TAGS)
const mode = fc.constantFrom<InvalidationMode>('soft', 'expire', 'purge')

type Change = [tag: string, seq: number, mode: InvalidationMode]
const change: fc.Arbitrary<Change> = fc.tuple(tag, seq, mode)
/** Everything is a change too. */
const anyChange: fc.Arbitrary<Change> = fc.oneof(
  { weight: 4, arbitrary: change },
  { weight: 1, arbitrary: fc.tuple(fc.constant('all'), seq, mode) },
)

function apply(table: LogTable, [name, at, how]: Change): void {
  table.apply({ tags: name === 'all' ? 'all' : [name], mode: how }, at)
}

function tableOf(changes: readonly Change[], maxTags = 100): LogTable {
  const table = new LogTable(maxTags)
  for (const each of changes) apply(table, each)
  return table
}

const fenced = fc.record({
  epoch: fc.constant('e'),
  seq: fc.nat({ max: 20 }),
  tags: fc.uniqueArray(tag, { maxLength: 4 }),
})

function commands(exact: boolean): fc.Arbitrary<Iterable<fc.Command<Model, Pair>>> {
  return fc.commands(
    [
      change.map((each) => new Merge(each)),
      change.map((each) => new Merge(each)),
      seq.map((at) => new RaiseFloor(at)),
      fenced.map((entry) => new Compare(entry, exact)),
      fenced.map((entry) => new Compare(entry, exact)),
    ],
    { maxCommands: 60 },
  )
}

describe('LogTable', () => {
  it('says of an entry the hardest that happened to one of its tags, while it forgets nothing', () => {
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

  it('never says less than what happened, however much it had to forget', () => {
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
      fc.property(
        fc.nat({ max: 20 }),
        fc.array(fc.tuple(fc.string(), seq, mode)),
        (maxTags, merges) => {
          const table = new LogTable(maxTags)
          for (const each of merges) {
            table.merge(...each)
            assert.ok(table.size <= maxTags)
          }
        },
      ),
    )
  })

  it('comes to the same in any order, and when everything comes twice', () => {
    fc.assert(
      fc.property(
        fc.array(anyChange),
        fc.array(fenced),
        fc.infiniteStream(fc.nat()),
        (changes, entries, order) => {
          const twice = [...changes, ...changes]
            .map((each) => ({ each, at: order.next().value as number }))
            .sort((a, b) => a.at - b.at)
            .map(({ each }) => each)
          const [once, mixed] = [tableOf(changes), tableOf(twice)]
          for (const entry of entries) assert.equal(once.verdict(entry), mixed.verdict(entry))
        },
      ),
    )
  })

  it('has another version after each change that could make an answer another one', () => {
    fc.assert(
      fc.property(
        fc.array(anyChange),
        fenced,
        fc.integer({ min: 1, max: 6 }),
        (steps, entry, maxTags) => {
          const table = new LogTable(maxTags)
          for (const step of steps) {
            const before = { version: table.version, verdict: table.verdict(entry) }
            apply(table, step)
            assert.ok(table.version >= before.version)
            if (table.verdict(entry) !== before.verdict) assert.ok(table.version > before.version)
          }
        },
      ),
    )
  })

  it('never says something softer of an entry than it did before', () => {
    fc.assert(
      fc.property(
        fc.array(anyChange),
        fenced,
        fc.integer({ min: 1, max: 6 }),
        (steps, entry, maxTags) => {
          const table = new LogTable(maxTags)
          let before: Verdict = 'valid'
          for (const step of steps) {
            apply(table, step)
            const verdict = table.verdict(entry)
            assert.ok(hardness(verdict) >= hardness(before), `${before}, then ${verdict}`)
            before = verdict
          }
        },
      ),
    )
  })

  it('says nothing softer after a snapshot was loaded, and the same of what comes later', () => {
    fc.assert(
      fc.property(
        fc.array(anyChange),
        fc.array(change),
        fc.array(fenced),
        (old, later, entries) => {
          const table = tableOf(old)
          // What Redis keeps: the last seq of each tag, without its mode, and the floor.
          const loaded = new LogTable(100)
          for (const name of TAGS) loaded.merge(name, table.lastSeq(name) ?? 0, 'purge')
          loaded.raiseFloor(table.floor)
          const compare = (): void => {
            for (const entry of entries) {
              const [before, after] = [table.verdict(entry), loaded.verdict(entry)]
              assert.ok(hardness(after) >= hardness(before), `${before}, then ${after}`)
              assert.equal(after === 'valid', before === 'valid')
            }
          }
          compare()
          for (const [name, at, how] of later) {
            apply(table, [name, at + 100, how])
            apply(loaded, [name, at + 100, how])
          }
          compare()
          for (const entry of entries) {
            const since = { ...entry, seq: 50 }
            assert.equal(loaded.verdict(since), table.verdict(since))
          }
        },
      ),
    )
  })

  const sequences: [what: string, changes: string, verdict: Verdict][] = [
    ['nothing', '', 'valid'],
    ['something before it was computed', '5 purge', 'valid'],
    ['a soft invalidation', '6 soft', 'softened'],
    ['an expiry', '6 expire', 'expired'],
    ['a purge', '6 purge', 'purged'],
    ['an expiry, then a soft one', '6 expire 7 soft', 'expired'],
    ['a soft one, and an earlier expiry that came late', '7 soft 6 expire', 'expired'],
    ['a purge, then both others', '6 purge 7 expire 8 soft', 'purged'],
    ['a purge before it was computed, then a soft one', '5 purge 6 soft', 'softened'],
    ['an expiry before it was computed, then a soft one', '5 expire 6 soft', 'softened'],
    ['a purge before it was computed, then an expiry', '4 purge 6 expire', 'expired'],
    ['a soft one and an expiry of one moment', '6 soft 6 expire', 'expired'],
  ]
  for (const [what, changes, verdict] of sequences) {
    it(`calls an entry ${verdict} after ${what}`, () => {
      const table = new LogTable(10)
      for (const [, at, how] of changes.matchAll(/(\d+) (\w+)/g)) {
        table.merge('a', Number(at), how as InvalidationMode)
      }
      const entry = { epoch: 'e', seq: 5, tags: ['other', 'a'] }
      assert.equal(table.verdict(entry), verdict)
      assert.equal(table.allows(entry), verdict === 'valid')
    })
  }

  it('calls an entry what the hardest of its tags makes it', () => {
    const table = tableOf([
      ['a', 6, 'soft'],
      ['b', 7, 'expire'],
    ])
    const verdictOf = (...tags: string[]): Verdict => table.verdict({ epoch: 'e', seq: 5, tags })
    assert.equal(verdictOf('a', 'b'), 'expired')
    assert.equal(verdictOf('b', 'a'), 'expired')
    assert.equal(verdictOf('a', 'c'), 'softened')
    table.merge('c', 8, 'purge')
    assert.equal(verdictOf('a', 'b', 'c'), 'purged')
    table.raiseFloor(6)
    assert.equal(verdictOf('none'), 'purged')
  })

  it('takes a mode that is compacted away for the hardest', () => {
    const table = new LogTable(10)
    table.merge('soft', 2, 'soft')
    const entry = { epoch: 'e', seq: 1, tags: ['soft'] }
    assert.equal(table.verdict(entry), 'softened')
    for (let n = 3; n <= 12; n++) table.merge(`tag${n}`, n, 'soft')
    assert.equal(table.lastSeq('soft'), undefined)
    assert.equal(table.verdict(entry), 'purged')
  })

  it('does not change its version when nothing changes', () => {
    const table = new LogTable(10)
    table.merge('a', 5, 'expire')
    table.raiseFloor(2)
    const { version } = table
    table.merge('a', 5, 'expire')
    table.merge('a', 5, 'soft')
    table.merge('a', 4, 'expire')
    table.raiseFloor(2)
    table.raiseFloor(1)
    assert.equal(table.version, version)
  })

  it('allows an entry that is as new as the last invalidation of its tag', () => {
    const table = new LogTable(10)
    table.merge('a', 5, 'expire')
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

  it('does not take a position that is no number for an early one, and does not get stuck', () => {
    const table = new LogTable(10)
    table.merge('a', 3, 'expire')
    table.merge('a', NaN, 'soft')
    assert.equal(table.allows({ epoch: 'e', seq: 4, tags: ['a'] }), false)
    table.merge('a', 5, 'purge')
    assert.equal(table.verdict({ epoch: 'e', seq: 4, tags: ['a'] }), 'purged')
  })

  it('forgets the oldest tags first', () => {
    const table = new LogTable(10)
    for (let n = 1; n <= 11; n++) table.merge(`tag${n}`, n, 'expire')
    assert.equal(table.lastSeq('tag1'), undefined)
    assert.equal(table.lastSeq('tag11'), 11)
    assert.ok(table.floor < 11 && table.floor > 0)
  })

  it('takes a tag for as old as its last invalidation', () => {
    const table = new LogTable(10)
    for (let n = 1; n <= 10; n++) table.merge(`tag${n}`, n, 'expire')
    table.merge('tag1', 11, 'expire')
    table.merge('tag11', 12, 'expire')
    assert.equal(table.lastSeq('tag1'), 11)
    assert.equal(table.lastSeq('tag2'), undefined)
    assert.ok(table.floor < 11)
  })
})
