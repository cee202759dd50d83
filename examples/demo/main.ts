// `npm start`: the database, the server, and a screen that says what to try.
import { announcement } from './announce.ts'
import { buildApp } from './app.ts'
import { DASHBOARD_PATH, DASHBOARD_USER, newPassword } from './dashboard.ts'
import { type Loaded, loadOnce } from './database/load.ts'
import { openDatabase } from './database/open.ts'
import { progressOn } from './database/progress.ts'
import { type Lifetime, beginLifetime } from './lifetime.ts'
import { closeServer, listenFrom } from './listen.ts'
import { nameOf } from './redis.ts'
import { type Settings, readSettings } from './settings.ts'

const MEMORY_ONLY = 'memory (REDIS_URL=redis://localhost:6379 shares it between processes)'
const REDIS_IS_AWAY =
  'Redis does not answer: every request is forwarded to its handler until it does.'
const screen = process.stdout
const print = (text: string): void => void screen.write(text)
const lifetime = beginLifetime(print)
try {
  await start(readSettings(process.env), lifetime)
} catch (error) {
  await lifetime.end(error instanceof Error ? error.message : String(error))
}

async function start(settings: Settings, { owns, end, isEnding }: Lifetime): Promise<void> {
  if (settings.databaseUrl === undefined) print('Starting the database (longer the first time)…\n')
  const database = await openDatabase(settings)
  owns(() => database.stop())
  void database.crashed.then((reason) => end(`${reason} The demo cannot go on without it.`))

  const dashboardPassword = settings.dashboardPassword ?? newPassword()
  const app = await buildApp({ ...settings, dashboardPassword, pool: database.pool })
  owns(() => closeServer(app))
  await app.ready()
  const loaded = await loadOnce(app.pg.pool, progressOn(screen))
  if (isEnding()) return

  const port = await listenFrom(app, settings.host, settings.port)
  const { host, redis } = settings
  const notes = [...database.notes]
  if (redis !== undefined && !app.cache.stats().log.verified) notes.unshift(REDIS_IS_AWAY)
  if (settings.port !== 0 && port !== settings.port) {
    notes.unshift(`Port ${settings.port} is taken, so this is ${port}. PORT chooses another.`)
  }
  print(
    announcement(
      {
        url: urlOf(host, port),
        dashboard: {
          path: DASHBOARD_PATH,
          user: DASHBOARD_USER,
          // One that was given is known, and screens are kept in logs.
          password:
            settings.dashboardPassword === undefined
              ? `password ${dashboardPassword}`
              : 'the password of DASHBOARD_PASSWORD',
        },
        cache: redis === undefined ? MEMORY_ONLY : `memory and Redis, ${nameOf(redis)}`,
        database: database.description,
        data: describe(loaded),
        notes,
      },
      screen.isTTY && process.env.NO_COLOR === undefined,
    ),
  )
}

// An address that listens everywhere is none that a browser can open.
function urlOf(host: string, port: number): string {
  if (host === '0.0.0.0' || host === '::') return `http://localhost:${port}`
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function describe({ cities, countries, seconds }: Loaded): string {
  const how = seconds === undefined ? 'loaded before' : `loaded in ${seconds.toFixed(1)} s`
  return `${cities.toLocaleString('en')} cities, ${countries} countries (${how})`
}
