import type { Pool, PoolClient } from 'pg'

import { type Table, citiesTable, countriesTable } from './dataset.ts'
import type { Progress } from './progress.ts'
import { CREATE_INDEXES, CREATE_TABLES, DATA_VERSION } from './tables.ts'

export interface Loaded {
  cities: number
  countries: number
  /** How long loading took; undefined when the data was there already. */
  seconds: number | undefined
}

const BATCH = 4000
// Any number, the same in every demo: two that start on one database must not load it twice.
const LOADING_LOCK = 6_027_341

/**
 * Fills the database unless that has happened before. One transaction: a demo that is killed on the
 * way leaves nothing behind that a later start could take for the whole.
 */
export async function loadOnce(pool: Pool, progress: Progress): Promise<Loaded> {
  const client = await pool.connect()
  try {
    await client.query('BEGIN')
    await client.query('SELECT pg_advisory_xact_lock($1)', [LOADING_LOCK])
    const seconds = (await isLoaded(client)) ? undefined : await load(client, progress)
    await client.query('COMMIT')
    return { ...(await count(client)), seconds }
  } catch (error) {
    await client.query('ROLLBACK').catch(() => {})
    throw new Error(`The cities could not be loaded: ${String(error)}`, { cause: error })
  } finally {
    client.release()
  }
}

async function isLoaded(client: PoolClient): Promise<boolean> {
  const table = await client.query("SELECT to_regclass('cities_demo.loaded') IS NOT NULL AS exists")
  if (!table.rows[0].exists) return false
  const loaded = await client.query('SELECT 1 FROM cities_demo.loaded WHERE data_version = $1', [
    DATA_VERSION,
  ])
  return loaded.rows.length > 0
}

async function load(client: PoolClient, progress: Progress): Promise<number> {
  const startedAt = performance.now()
  const tables = [countriesTable(), citiesTable()]
  progress.start(tables.reduce((sum, table) => sum + table.rows, 0))
  try {
    await client.query(CREATE_TABLES)
    for (const table of tables) await fill(client, table, progress)
    await client.query(CREATE_INDEXES)
    await client.query('INSERT INTO cities_demo.loaded VALUES ($1)', [DATA_VERSION])
  } finally {
    progress.stop()
  }
  return (performance.now() - startedAt) / 1000
}

async function fill(client: PoolClient, table: Table, progress: Progress): Promise<void> {
  for (let start = 0; start < table.rows; start += BATCH) {
    const end = Math.min(start + BATCH, table.rows)
    await client.query(table.insert, table.columns(start, end))
    progress.add(end - start)
  }
}

async function count(client: PoolClient): Promise<{ cities: number; countries: number }> {
  const { rows } = await client.query(`SELECT
    (SELECT count(*)::int FROM cities_demo.city) AS cities,
    (SELECT count(*)::int FROM cities_demo.country) AS countries`)
  return rows[0]
}
