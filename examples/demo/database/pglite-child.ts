// The database's process. PGlite is PostgreSQL in WebAssembly: a query blocks the thread it runs on,
// so it must not be the server's. Started by pglite-process.ts, ends when the IPC channel closes.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PGlite } from '@electric-sql/pglite'
import { PGLiteSocketServer } from '@electric-sql/pglite-socket'

import { lockFolder } from './folder-lock.ts'
import type { DatabaseMessage } from './messages.ts'

// PGlite has one session; the socket server lets clients take turns in it, one query or transaction
// at a time. The demo's pool has one connection; the others are for psql and for a second demo that
// is given this database as its DATABASE_URL.
const MAX_CONNECTIONS = 16
const CLOSING_BUDGET_MS = 3000

let closing: Promise<void> | undefined
const closers: (() => Promise<unknown>)[] = []

process.title = 'cities-demo-database'
// Ctrl+C reaches every process of the terminal's group. The server still needs the database while it
// answers its last requests, so only the server's end ends this process.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', () => void close())
if (!process.connected) process.exit(0)

const [folder, mode] = process.argv.slice(2)
try {
  await serve(folder || undefined, mode === 'anew')
} catch (error) {
  await tell({ type: 'failed', reason: error instanceof Error ? error.message : String(error) })
  await close()
}

async function serve(root: string | undefined, anew: boolean): Promise<void> {
  if (root !== undefined && !(await lock(root))) {
    await tell({ type: 'locked' })
    return close()
  }
  const db = root === undefined ? await PGlite.create() : await openFolder(root, anew)
  closers.unshift(() => db.close())
  const version = await check(db)
  const server = new PGLiteSocketServer({
    db,
    host: '127.0.0.1',
    port: 0,
    maxConnections: MAX_CONNECTIONS,
  })
  await server.start()
  closers.unshift(() => server.stop())
  await tell({ type: 'ready', port: Number(server.getServerConn().split(':').pop()), version })
}

async function lock(root: string): Promise<boolean> {
  mkdirSync(root, { recursive: true })
  const server = await lockFolder(root)
  if (server) closers.push(() => new Promise((resolve) => server.close(resolve)))
  return server !== undefined
}

/** Only the two entries named here are ever removed: DEMO_DATA_DIR may be any folder of the user's. */
async function openFolder(root: string, anew: boolean): Promise<PGlite> {
  const files = join(root, 'pglite')
  // Written once PostgreSQL has made its files: a folder without it was left by a killed first start.
  const complete = join(root, 'pglite-complete')
  if (anew || !existsSync(complete)) {
    rmSync(complete, { force: true })
    rmSync(files, { recursive: true, force: true })
  }
  const db = await PGlite.create(files)
  writeFileSync(complete, '')
  return db
}

// Reads every row, in 30 ms: damage that PostgreSQL would only meet during a request shows here.
async function check(db: PGlite): Promise<string> {
  const tables = await db.query<{ name: string }>(
    `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
     WHERE table_schema = 'cities_demo'`,
  )
  for (const { name } of tables.rows) await db.query(`SELECT count(t.*) FROM ${name} AS t`)
  const version = await db.query<{ server_version: string }>('SHOW server_version')
  return version.rows[0]?.server_version ?? 'unknown version'
}

// Resolves when the message has left: an exit right after `send` would lose it.
function tell(message: DatabaseMessage): Promise<void> {
  return new Promise((resolve) => process.send?.(message, () => resolve()))
}

function close(): Promise<void> {
  closing ??= closeAll()
  return closing
}

async function closeAll(): Promise<void> {
  setTimeout(() => process.exit(1), CLOSING_BUDGET_MS).unref()
  for (const closer of closers) await closer().catch(() => {})
  process.exit(0)
}
