import assert from 'node:assert/strict'
import { it } from 'node:test'

import { AuditFindings, type Found } from '../src/audit-findings.ts'
import { RecentWrites } from '../src/audit-writes.ts'
import { encodeTag } from '../src/invalidation/tags.ts'

function found(route: string, differs: Found['differs'], own: Partial<Found> = {}): Found {
  return { route, path: '/a/1', tags: [], at: 1000, age: 1, differs, ...own }
}

function write(path: string): { method: string; route: string; path: string; tags: Set<string> } {
  return { method: 'PUT', route: path, path, tags: new Set<string>() }
}

it('findings are kept for the fifty latest kinds, and logged for the first 200', () => {
  const lines: string[] = []
  const findings = new AuditFindings((line) => lines.push(line))
  for (let n = 0; n < 300; n++) findings.add(found(`/r${n}`, { offset: n }), [])
  const routes = findings.list().map(({ route }) => route)
  assert.deepEqual([routes.length, routes[0], routes[49]], [50, '/r299', '/r250'])
  assert.equal(lines.length, 200)
})

it('places in arrays are one kind, and other places, fields and statuses another', () => {
  const findings = new AuditFindings(() => {})
  findings.add(found('/a', { pointers: ['/items/0/price'] }), [])
  findings.add(found('/a', { pointers: ['/items/12/price'] }, { at: 2000 }), [])
  findings.add(found('/a', { pointers: ['/items/0/name'] }), [])
  findings.add(found('/a', { fields: ['x-a'] }), [])
  findings.add(found('/a', { status: { served: 200, now: 404 } }), [])
  findings.add(found('/b', { pointers: ['/items/0/price'] }), [])
  const list = findings.list()
  assert.deepEqual(
    list.map(({ count }) => count),
    [1, 1, 1, 1, 2],
  )
  assert.deepEqual([list[4]!.firstAt, list[4]!.at], [1000, 2000])
})

it('of many places the first are shown, and long ones by their beginning', () => {
  const lines: string[] = []
  const findings = new AuditFindings((line) => lines.push(line))
  const pointers = ['', `/${'x'.repeat(500)}`, ...Array.from({ length: 20 }, (_, at) => `/p${at}`)]
  findings.add(found('/a', { fields: ['x-a'], pointers }, { tags: ['one', 'two'] }), [])
  const shown = findings.list()[0]!.differs.pointers!
  assert.deepEqual([shown.length, shown[1]!.length], [10, 200])
  assert.match(lines[0]!, /fields x-a; body at all, \/x+, \/p0, \/p1, \/p2 and 5 more; /)
  assert.match(lines[0]!, /with the tags one, two, and/)
})

it('of writes those are named first whose paths have most in common, of equal ones the newest', () => {
  const lines: string[] = []
  const findings = new AuditFindings((line) => lines.push(line))
  const paths = [
    '/users/3',
    '/stock/7',
    '/shop/products/7',
    ...Array.from({ length: 12 }, () => '/x'),
  ]
  const writes = paths.map((path, at) => ({ ...write(path), at, tags: [] }))
  findings.add(found('/products/:id', { offset: 0 }, { path: '/products/7' }), writes)
  const named = findings.list()[0]!.recentWrites.map(({ path }) => path)
  assert.deepEqual(named.slice(0, 3), ['/shop/products/7', '/stock/7', '/users/3'])
  assert.equal(named.length, 10)
  assert.match(lines[0]!, /PUT \/shop\/products\/7, which invalidated nothing$/)
})

it('the last hundred writes are remembered, with the first twenty things that each invalidated', () => {
  const writes = new RecentWrites()
  writes.noteInvalidation([encodeTag('tag', 'of nobody')])
  const first = write('/first')
  writes.run(first, () => {
    assert.ok(writes.isUnderWay(first))
    writes.noteInvalidation('all')
    writes.noteInvalidation(Array.from({ length: 30 }, (_, at) => encodeTag('tag', `t${at}`)))
    writes.noteInvalidation([encodeTag('path', '/too-many')])
  })
  const failed = write('/failed')
  writes.run(failed, () => {})
  assert.deepEqual([...writes.underWay()], [first, failed])
  writes.end(failed, 500, 1)
  writes.end(first, 204, 2)
  const [only, ...others] = writes.since(2)
  assert.deepEqual([others.length, writes.since(3).length], [0, 0])
  assert.equal(only?.tags.length, 20)
  assert.deepEqual(only.tags.slice(0, 2), ['everything', 't0'])
  for (let n = 0; n < 100; n++) writes.end(write(`/w${n}`), 200, 10 + n)
  const paths = writes.since(0).map(({ path }) => path)
  assert.deepEqual([paths.length, paths[0], paths[99]], [100, '/w99', '/w0'])
})
