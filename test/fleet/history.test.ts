import assert from 'node:assert/strict'
import { describe, it } from 'node:test'

import { Database } from './database.ts'
import { History } from './history.ts'

const row = (version: number, groupVersion = 1): Parameters<History['read']>[0] => ({
  ...{ id: 3, version, group: 2, groupVersion },
})

describe('the judge of a history', () => {
  it('accepts an old version in a read that began before the invalidation had resolved', () => {
    const history = new History()
    history.resolved({ tag: 'item:3', version: 2 }, 1000)
    history.read(row(1), 999, true)
    history.read(row(2), 1001, true)
    history.read(row(7), 1001, false)
    assert.equal(history.stale.length, 0)
    assert.deepEqual([history.reads, history.hits, history.writes], [3, 2, 1])
  })

  it('finds an old version in a read that began after, and tells by how much', () => {
    const history = new History()
    history.resolved({ tag: 'item:3', version: 2 }, 1000)
    history.resolved({ tag: 'item:3', version: 3 }, 2000)
    history.read(row(1), 2100, true)
    history.read(row(2), 2100, true)
    assert.deepEqual(
      history.stale.map(({ behindMs }) => behindMs),
      [1100, 100],
    )
    assert.deepEqual(
      [history.staleBeyond(99), history.staleBeyond(100), history.staleBeyond(1100)],
      [2, 1, 0],
    )
    assert.equal(history.longestMs, 1100)
  })

  it('holds a process to what it was told itself, until another is in its place', () => {
    const history = new History()
    history.forgotten({ tag: 'item:3', version: 2 }, 0, 1000)
    history.read(row(1), 999, true, 0)
    history.read(row(1), 1100, true, 1)
    assert.equal(history.forgetful, 0)
    history.read(row(1), 1100, true, 0)
    assert.equal(history.forgetful, 1)
    assert.equal(history.staleBeyond(0), 0, 'to the others nothing was promised')
    history.restarted(0)
    history.read(row(1), 1200, true, 0)
    assert.equal(history.forgetful, 1)
  })

  it('tells the stale reads of a time from those that came later', () => {
    const history = new History()
    history.resolved({ tag: 'item:3', version: 2 }, 1000)
    history.read(row(1), 1500, true)
    history.read(row(1), 1700, true)
    assert.deepEqual([history.staleBeyond(0, 1600), history.staleBeyond(600, 1600)], [1, 0])
  })

  it('looks at the group as well as at the item', () => {
    const history = new History()
    history.resolved({ tag: 'group:2', version: 5 }, 1000)
    history.resolved({ tag: 'group:1', version: 9 }, 1000)
    history.read(row(1, 4), 1001, true)
    history.read(row(1, 5), 1001, true)
    assert.equal(history.stale.length, 1)
  })

  it('knows that a later version whose invalidation resolved first covers the earlier one', () => {
    const history = new History()
    history.resolved({ tag: 'item:3', version: 3 }, 1000)
    history.resolved({ tag: 'item:3', version: 2 }, 5000)
    history.read(row(1), 1100, true)
    assert.equal(history.longestMs, 100)
  })
})

describe('the database of the fleet', () => {
  it('gives all of one moment, and a new version with every write', () => {
    const database = new Database(4, 2)
    const before = database.read(1)
    assert.deepEqual(before, { id: 1, version: 1, group: 1, groupVersion: 1 })
    assert.deepEqual(database.writeItem(1), { tag: 'item:1', version: 2, id: 1 })
    assert.deepEqual(database.writeGroup(0), { tag: 'group:0', version: 2, id: 0 })
    assert.equal(database.read(1).version, 2)
    assert.equal(database.read(0).groupVersion, 2)
    assert.equal(before.version, 1)
    assert.equal(database.reads, 3)
  })
})
