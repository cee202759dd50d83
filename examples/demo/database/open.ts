import type { PoolConfig } from 'pg'

import type { Settings } from '../settings.ts'
import { withoutPassword } from '../shown-url.ts'
import { startPGlite } from './pglite-process.ts'

/** A database that the demo can connect to. */
export interface Database {
  pool: PoolConfig
  /** What it is, for people: one line. */
  description: string
  notes: string[]
  /** Settles when the database ends by itself; never for one that is not ours. */
  crashed: Promise<string>
  stop(): Promise<void>
}

// A query that never answers must not hold its request for ever.
const BOUNDS: PoolConfig = { query_timeout: 30_000, connectionTimeoutMillis: 30_000 }

export async function openDatabase(settings: Settings): Promise<Database> {
  if (settings.databaseUrl !== undefined) return serverDatabase(settings.databaseUrl)
  const pglite = await startPGlite(settings.dataFolder)
  const where = pglite.folder ?? 'in memory'
  return {
    // PGlite runs one query at a time: more connections would only wait in another place.
    pool: { ...BOUNDS, connectionString: pglite.url, max: 1, idleTimeoutMillis: 0 },
    description: `PGlite ${pglite.version} (process ${pglite.pid}), ${where}, ${pglite.url}`,
    notes: pglite.notes,
    crashed: pglite.crashed,
    stop: () => pglite.stop(),
  }
}

function serverDatabase(url: string): Database {
  return {
    pool: { ...BOUNDS, connectionString: url, max: 10 },
    description: `PostgreSQL at ${withoutPassword(url)}`,
    notes: [],
    crashed: new Promise(() => {}),
    stop: async () => {},
  }
}
