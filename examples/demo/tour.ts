// `npm run tour`, or `npm run tour -- http://localhost:3000`: walks all of the demo, and prints what
// happened and why. The exit code is 1 when something was not as announced.
import { client } from './tour/client.ts'
import { type Chapter, Guide } from './tour/guide.ts'
import { startOwnDemo } from './tour/own-demo.ts'
import { redis } from './tour/redis.ts'
import { responses } from './tour/responses.ts'

const screen = process.stdout
const [given] = process.argv.slice(2)
const own = given === undefined ? await startOwnDemo() : undefined
const url = (given ?? own?.url ?? '').replace(/\/+$/, '')
const guide = new Guide(url, (text) => screen.write(text), isColourful())
try {
  await tour()
} finally {
  await own?.stop()
}

async function tour(): Promise<void> {
  const startedAt = performance.now()
  guide.chapter(`The demo at ${url}`, 'Everything below can be tried by hand at /docs.')
  const health = await guide.get('/health')
  const hasRedis = health.body.redis === 'ok'
  guide.shows(health.status === 200, 'A demo answers here.')
  if (health.status === 200) {
    const { status, database, redis: state } = health.body
    guide.shows(status === 'ok', `Database: ${database}. Redis: ${state}.`)
    for (const chapter of [...responses, ...client, ...redis]) await visit(chapter, hasRedis)
    await end(hasRedis)
  }
  guide.end((performance.now() - startedAt) / 1000)
  process.exitCode = guide.complaints.length === 0 ? 0 : 1
}

async function visit(chapter: Chapter, hasRedis: boolean): Promise<void> {
  const { title, about, needsRedis } = chapter
  guide.chapter(title, about)
  if (needsRedis === undefined || hasRedis) return chapter.walk(guide)
  const { method, path, body } = needsRedis
  const { status, body: problem } = await guide.send(
    method,
    path,
    body === undefined ? {} : { body },
  )
  guide.shows(status === 503, problem.message)
}

async function end(hasRedis: boolean): Promise<void> {
  guide.chapter('Statistics', 'What the cache did, and what Redis says of itself.')
  const { body } = await guide.get('/stats')
  guide.shows(body.hits > 0, `${body.hits} hits, ${body.misses} misses since the demo was started.`)
  if (!hasRedis) return
  const { keysOfThisDemo, operationsPerSecond, usedMemoryBytes } = body.server
  guide.shows(
    keysOfThisDemo > 0,
    `Redis: ${keysOfThisDemo} keys of this demo, ${operationsPerSecond} operations per second, ` +
      `${(usedMemoryBytes / 2 ** 20).toFixed(1)} MiB.`,
  )
}

function isColourful(): boolean {
  return screen.isTTY && process.env.NO_COLOR === undefined
}
