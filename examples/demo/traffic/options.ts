import { parseArgs } from 'node:util'

/** What `npm run demo:traffic` is told. */
export interface TrafficOptions {
  url: string
  /** Requests per second. */
  rate: number
  /** The share of them that writes. */
  writes: number
  /** Ends by itself after these; left out, it runs until it is told to stop. */
  seconds: number | undefined
}

export const USAGE = `Usage: npm run demo:traffic -- [options]

  --url URL       where the demo is; http://127.0.0.1:3000 when left out (PORT and HOST are those of npm start)
  --rate N        requests per second, 1 to 5000; 50 when left out
  --writes SHARE  the share of them that writes, 0 to 1; 0.02 when left out
  --seconds S     end after S seconds; otherwise Ctrl+C ends it
`

/** Throws with a message for people: which option, its value, the fix. */
export function readOptions(args: readonly string[], env: NodeJS.ProcessEnv): TrafficOptions {
  const { values } = parseArgs({
    args: [...args],
    options: {
      url: { type: 'string' },
      rate: { type: 'string' },
      writes: { type: 'string' },
      seconds: { type: 'string' },
    },
  })
  const { seconds } = values
  return {
    url: originOf(values.url ?? `http://${hostOf(env)}:${env.PORT?.trim() || '3000'}`),
    rate: number('--rate', values.rate ?? '50', [1, 5000]),
    writes: number('--writes', values.writes ?? '0.02', [0, 1]),
    seconds: seconds === undefined ? undefined : number('--seconds', seconds, [1, 86_400]),
  }
}

// An address that listens everywhere is none that a client can ask.
function hostOf(env: NodeJS.ProcessEnv): string {
  const host = env.HOST?.trim() || '127.0.0.1'
  if (host === '0.0.0.0' || host === '::') return '127.0.0.1'
  return host.includes(':') ? `[${host}]` : host
}

function originOf(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  if (url !== undefined && /^https?:$/.test(url.protocol) && url.pathname === '/') return url.origin
  throw new Error(`--url is '${text}'; give where the demo is, as http://127.0.0.1:3000`)
}

function number(name: string, text: string, [least, most]: [number, number]): number {
  const value = Number(text)
  if (text.trim() !== '' && value >= least && value <= most) return value
  throw new Error(`${name} is '${text}'; give a number from ${least} to ${most}`)
}
