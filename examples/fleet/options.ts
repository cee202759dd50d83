import { parseArgs } from 'node:util'

/** What `npm run fleet` is told. */
export interface FleetOptions {
  processes: number
  /** Ends by itself after these; left out, it runs until it is told to stop. */
  seconds: number | undefined
  traffic: boolean
  host: string
  port: number
  /** Left out: each process has a cache of its own. */
  redisUrl: string | undefined
}

/** How long a response is fresh; without Redis also how long a process may be wrong. */
export const TTL_SECONDS = 10

export const USAGE = `Usage: [REDIS_URL=redis://localhost:6379] [PORT=3000] npm run fleet -- [options]

  --processes N   how many processes share the port, 1 to 64; 4 when left out
  --seconds S     end after S seconds; otherwise Ctrl+C ends it
  --no-traffic    no requests but yours
`

/** Throws with a message for people: which option, its value, the fix. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): FleetOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      processes: { type: 'string' },
      seconds: { type: 'string' },
      'no-traffic': { type: 'boolean' },
    },
  })
  const seconds = values.seconds && number('--seconds', values.seconds, [1, 86_400])
  return {
    processes: number('--processes', values.processes ?? '4', [1, 64]),
    seconds: seconds || undefined,
    traffic: values['no-traffic'] !== true,
    host: env.HOST || '127.0.0.1',
    port: number('PORT', env.PORT || '3000', [0, 65_535]),
    redisUrl: env.REDIS_URL?.trim() || undefined,
  }
}

function number(name: string, text: string, [least, most]: [number, number]): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isInteger(value) && value >= least && value <= most) return value
  throw new Error(`${name} is '${text}'; give a whole number from ${least} to ${most}`)
}
