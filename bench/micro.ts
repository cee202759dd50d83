import { randomBytes } from 'node:crypto'

import { bench, group, run, summary } from 'mitata'

import { PACKING_ALGORITHMS, pack, unpack } from '../src/frame-packing.ts'
import { canonicalTarget, primaryKey, routeIdentity, variantKey } from '../src/http/cache-key.ts'
import { LocalLog } from '../src/invalidation/local-log.ts'
import { Sealing } from '../src/sealing.ts'
import { EntryFrames } from '../src/store/entry-frames.ts'
import { MemoryStore } from '../src/store/memory-store.ts'
import { TieredCache } from '../src/store/tiered-cache.ts'
import {
  type StoredEntry,
  decodeEntry,
  encodeEntry,
  plainLifetimes,
} from '../src/stored-response.ts'

/** The parts of a request's way through the cache, one by one: `npm run bench:micro`. */
const identity = routeIdentity({
  format: 'frc1',
  namespace: 'bench',
  url: '/products/:id',
  constraints: {},
  vary: [],
})
const url = '/products/4711?sort=name&page=3&filter=new'
const query = Object.assign(Object.create(null) as object, {
  sort: 'name',
  page: '3',
  filter: 'new',
})
const origin = { host: 'shop.example', protocol: 'https', url, originalUrl: url }

const log = new LocalLog(100_000)
const entry = (bytes: number): StoredEntry => ({
  ...log.position,
  tags: ['r:=/products/:id', 'p:=/products/4711', 'u:=14:/products/4711', 't:=product:4711'],
  ...plainLifetimes(Date.now(), Date.now() + 3_600_000),
  status: 200,
  headers: [
    ['content-type', 'application/json; charset=utf-8'],
    ['cache-control', 'no-transform'],
  ],
  removed: [],
  varies: undefined,
  body: Buffer.alloc(bytes, 'x'),
})
const memory = new MemoryStore({ maxBytes: 64_000_000, maxEntryBytes: 8_000_000 })
const tiers = new TieredCache({ memory, redis: undefined, log, now: Date.now })
for (let index = 0; index < 10_000; index++) memory.set(`r:${index}`, entry(1000))

group('key', () => {
  const canonical = canonicalTarget(url, query, undefined)
  bench('canonical target of a query with three names', () =>
    canonicalTarget(url, query, undefined))
  bench('primary key (sha256)', () => primaryKey(identity, origin, canonical))
  bench('variant key of two values', () => variantKey('key', ['de', undefined]))
})

group('lookup in memory', () => {
  let index = 0
  bench('hit, nothing invalidated since', () =>
    tiers.peek(`r:${index++ % 10_000}`, Date.now(), false))
  bench('miss', () => tiers.peek('r:none', Date.now(), false))
})

summary(() => {
  for (const bytes of [1000, 100_000]) {
    const one = entry(bytes)
    const frame = Buffer.from(encodeEntry('bench:r:key', one))
    bench(`encode a frame, body ${bytes} bytes`, () => encodeEntry('bench:r:key', one))
    bench(`decode a frame, body ${bytes} bytes`, () => decodeEntry('bench:r:key', frame))
  }
})

const sealing = new Sealing('bench', [{ id: 'k1', secret: randomBytes(32) }])
const sealed = new EntryFrames({ namespace: 'bench', sealing })
const text = 'The same things are said more than once in most of what is sent. '

summary(() => {
  const name = sealed.nameOf('r:key')
  bench('name of an entry with encryption', () => sealed.nameOf('r:key'))
  bench('names of a tag with encryption', () => sealing.tagNames('t:=product:4711'))
  for (const bytes of [1000, 100_000]) {
    const one = entry(bytes)
    const frame = Buffer.from(sealed.encode('r:key', name, one))
    bench(`encode and seal, body ${bytes} bytes`, () => sealed.encode('r:key', name, one))
    bench(`open and decode, body ${bytes} bytes`, () =>
      decodeEntry('bench#r:key', sealed.open('r:key', name, frame)!))
  }
})

summary(() => {
  const body = Buffer.from(text.repeat(2000))
  for (const algorithm of PACKING_ALGORITHMS) {
    bench(`${algorithm}: compress ${body.length} bytes`, () => pack(body, algorithm))
    bench(`${algorithm}: decompress them`, async () => unpack((await packed[algorithm])!, 1e6))
  }
  const packed = Object.fromEntries(PACKING_ALGORITHMS.map((each) => [each, pack(body, each)]))
})

await run()
