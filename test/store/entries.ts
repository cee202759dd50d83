// Entries for tests: only what a test says about one matters to it.
import { type StoredEntry, plainLifetimes } from '../../src/stored-response.ts'

export const EPOCH = '0123456789abcdef'
export const OTHER_EPOCH = 'fedcba9876543210'

export interface EntryChange extends Partial<StoredEntry> {
  /** Milliseconds of freshness. */
  ttlMs?: number
}

export function makeEntry({ ttlMs = 60_000, ...change }: EntryChange = {}): StoredEntry {
  const storedAt = change.storedAt ?? Date.now()
  return {
    epoch: EPOCH,
    seq: 1,
    tags: ['t:=a'],
    ...plainLifetimes(storedAt, change.freshUntil ?? storedAt + ttlMs),
    status: 200,
    headers: [['content-type', 'text/plain']],
    removed: [],
    varies: undefined,
    body: 'body',
    ...change,
  }
}
