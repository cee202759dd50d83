// `npm run demo:traffic`: requests for a demo that runs (`npm start`), as its users would send them, so
// that there is something to see in its statistics and on its dashboard.
import { beginLifetime } from './lifetime.ts'
import { Mix } from './traffic/mix.ts'
import { type TrafficOptions, USAGE, readOptions } from './traffic/options.ts'
import { Sender } from './traffic/sender.ts'
import { HEAD, lineOf, summaryOf } from './traffic/tally.ts'
import { optionsOrUsage } from '../options-or-usage.ts'

const LINE_MS = 1000
const LINES_BELOW_A_HEAD = 20

const say = (text: string): void => void process.stdout.write(`${text}\n`)

async function run({ url, rate, writes, seconds }: TrafficOptions): Promise<void> {
  const { owns, end, isEnding } = beginLifetime((text) => say(text.trim()))
  const sender = new Sender(url)
  const cities = await sender.cities().catch((error: unknown) => {
    return end(`No demo answers at ${url} (${reasonOf(error)}).\n${HOW_TO_START}`)
  })
  if (isEnding()) return
  say(`${rate} requests per second to ${url}, ${(writes * 100).toFixed(0)} % of them writes.`)
  say('Hit rate and times are those of the clients, by Cache-Status. Ctrl+C ends it.\n')

  const startedAt = performance.now()
  const elapsed = (): number => (performance.now() - startedAt) / 1000
  sender.begin(new Mix(cities, writes), rate)
  let lines = 0
  let shownAt = 0
  const showing = setInterval(() => {
    if (lines++ % LINES_BELOW_A_HEAD === 0) say(HEAD)
    const now = elapsed()
    say(lineOf(now, now - shownAt, sender.takeRecent()))
    shownAt = now
  }, LINE_MS)
  owns(async () => {
    clearInterval(showing)
    const during = elapsed()
    await sender.end()
    say(summaryOf(during, sender.total))
    if (sender.leftOut > 0) {
      say(`  ${sender.leftOut} were not sent: the demo does not keep up with --rate ${rate}.\n`)
    }
    const { failed, requests } = sender.total
    if (failed > 0 && failed === requests) process.exitCode = 1
  })
  if (seconds !== undefined) setTimeout(() => void end(), seconds * 1000)
}

const HOW_TO_START = `Start it in another terminal, and wait until it prints its address:

  npm start

When it is elsewhere, say so: npm run demo:traffic -- --url http://127.0.0.1:3001`

function reasonOf(error: unknown): string {
  const { code, message } = error as { code?: string; message: string }
  return code ?? message
}

const options = optionsOrUsage(() => readOptions(process.argv.slice(2), process.env), USAGE)
if (options !== undefined) await run(options)
