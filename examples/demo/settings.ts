import { resolve } from 'node:path'

import { type RedisSettings, readRedisSettings } from './redis.ts'

/** Everything the demo takes from its environment. */
export interface Settings {
  host: string
  port: number
  /** A PostgreSQL server; left out, the demo starts PGlite in a process of its own. */
  databaseUrl: string | undefined
  /** Where PGlite keeps its files. */
  dataFolder: string
  /** Left out: the cache lives in this process's memory only. */
  redis: RedisSettings | undefined
  logLevel: string
  /** Signs the session cookies; left out, a new one each start, and for each process its own. */
  sessionSecret: string | undefined
  /** Of the dashboard's user; left out, a new one each start, which is printed. */
  dashboardPassword: string | undefined
}

const DEFAULT_PORT = 3000
const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']

export function readSettings(env: NodeJS.ProcessEnv): Settings {
  return {
    host: text(env, 'HOST') ?? '127.0.0.1',
    port: readPort(env),
    databaseUrl: text(env, 'DATABASE_URL'),
    dataFolder: resolve(text(env, 'DEMO_DATA_DIR') ?? '.cache/demo-db'),
    redis: readRedisSettings((name) => text(env, name)),
    logLevel: readLogLevel(env),
    sessionSecret: readSecret(env),
    dashboardPassword: readPassword(env),
  }
}

// docker-compose passes a variable that is not set as an empty string.
function text(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return env[name]?.trim() || undefined
}

function readPort(env: NodeJS.ProcessEnv): number {
  const value = text(env, 'PORT')
  if (value === undefined) return DEFAULT_PORT
  const port = Number(value)
  if (Number.isInteger(port) && port >= 0 && port <= 65_535) return port
  throw new Error(`PORT is '${value}'; give a number from 0 (any free port) to 65535`)
}

function readSecret(env: NodeJS.ProcessEnv): string | undefined {
  const secret = text(env, 'SESSION_SECRET')
  if (secret === undefined || secret.length >= 32) return secret
  throw new Error(
    `SESSION_SECRET has ${secret.length} characters; give at least 32: openssl rand -hex 32`,
  )
}

function readPassword(env: NodeJS.ProcessEnv): string | undefined {
  const password = text(env, 'DASHBOARD_PASSWORD')
  if (password === undefined || password.length >= 8) return password
  throw new Error(`DASHBOARD_PASSWORD has ${password.length} characters; give at least 8`)
}

function readLogLevel(env: NodeJS.ProcessEnv): string {
  const level = text(env, 'LOG_LEVEL') ?? 'warn'
  if (LOG_LEVELS.includes(level)) return level
  throw new Error(`LOG_LEVEL is '${level}'; give one of ${LOG_LEVELS.join(', ')}`)
}
