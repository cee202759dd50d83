import { LocalLog } from '../src/invalidation/local-log.ts'
import { MemoryStore } from '../src/store/memory-store.ts'
import { type StoredEntry, plainLifetimes } from '../src/stored-response.ts'

/**
 * Whether the memory tier's bound is true: fills a 64 MiB store with bodies of one size and compares
 * what the process grew by; then once more after all entries were replaced twice, where garbage that
 * the engine has not returned to the system comes on top. `node --expose-gc build/bench/memory.js`
 */
const MIB = 1024 * 1024
const MAX_BYTES = 64 * MIB
const log = new LocalLog(1000)

function entry(index: number, bytes: number): StoredEntry {
  const path = `/products/${index}`
  const life = plainLifetimes(Date.now(), Date.now() + 3_600_000)
  return {
    ...log.position,
    tags: ['r:=/products/:id', `p:=${path}`, `u:=${path.length}:${path}`, `t:=product:${index}`],
    // Field by field, as the engine makes them: spread into place they would be another kind of object.
    storedAt: life.storedAt,
    freshUntil: life.freshUntil,
    staleWhileRevalidateUntil: life.staleWhileRevalidateUntil,
    staleIfErrorUntil: life.staleIfErrorUntil,
    keepUntil: life.keepUntil,
    mustRevalidate: life.mustRevalidate,
    computeMs: life.computeMs,
    status: 200,
    headers: [
      ['content-type', 'application/json; charset=utf-8'],
      ['x-product', `product ${index}`],
    ],
    removed: [],
    varies: undefined,
    body: Buffer.allocUnsafeSlow(bytes).fill('x'),
  }
}

async function settle(): Promise<number> {
  for (let round = 0; round < 5; round++) {
    globalThis.gc!()
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
  return process.memoryUsage.rss()
}

const [bytes = 1000] = process.argv.slice(2).map(Number)
const before = await settle()
const store = new MemoryStore({ maxBytes: MAX_BYTES, maxEntryBytes: MAX_BYTES / 8 })
let index = 0

async function fill(until: () => boolean): Promise<void> {
  while (!until()) {
    store.set(`r:${String(index).padStart(43, 'k')}`, entry(index, bytes))
    if (++index % 1000 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
}

async function report(when: string): Promise<void> {
  const grown = (await settle()) - before
  console.log(
    `bodies of ${bytes} bytes, ${when}: ${store.size} entries counted as ` +
      `${(store.bytes / MIB).toFixed(1)} MiB, process grew ${(grown / MIB).toFixed(1)} MiB, ` +
      `ratio ${(grown / store.bytes).toFixed(2)}`,
  )
}

await fill(() => store.bytes > MAX_BYTES * 0.98)
await report('filled once')
const entries = store.size
await fill(() => index > entries * 3)
await report('turned over twice')
