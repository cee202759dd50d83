import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { dirname, join } from 'node:path'
import { after, before, describe, it } from 'node:test'

import { type RedisServer, startRedis } from '../support/redis.ts'
import { type Demo, startDemo } from './demo.ts'

const TOUR = join(dirname(dirname(import.meta.dirname)), 'examples', 'demo', 'tour.js')

interface Tour {
  code: number
  printed: string
}

function tour(args: string[], env: Record<string, string> = {}): Promise<Tour> {
  const own = Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(REDIS_|DATABASE_URL|FORCE_)/.test(name)),
  )
  return new Promise((resolve) => {
    const options = { env: { ...own, ...env }, timeout: 120_000 }
    execFile(process.execPath, [TOUR, ...args], options, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), printed: stdout + stderr }),
    )
  })
}

describe('npm run tour', () => {
  let redis: RedisServer
  let demo: Demo
  before(async () => {
    redis = await startRedis()
    demo = await startDemo({ env: { REDIS_URL: redis.url } })
  })
  after(async () => {
    await demo.end()
    await redis.stop()
  })

  it('finds all as announced in a demo with Redis', async () => {
    const { code, printed } = await tour([demo.line('API')])
    assert.match(printed, /^All as announced: \d+ requests in [\d.]+ s\.$/m, printed)
    assert.equal(code, 0)
    assert.match(printed, /^ {2}GET +\/cities\?name=paris&size=5 +200 +[\d.]+ ms +hit; ttl=\d+$/m)
    assert.doesNotMatch(printed, / 503 |✗/)
    assert.ok(!printed.includes('\u001B'), 'no colours where there is no terminal')
  })

  it('starts a demo of its own, without Redis, and shows why some patterns need it', async () => {
    const { code, printed } = await tour([], { DATABASE_URL: demo.databaseUrl })
    assert.equal(code, 0, printed)
    assert.match(printed, /Redis: not used/)
    const reasons = printed.match(
      /needs Redis, and this demo runs without\. Start it with REDIS_URL/g,
    )
    assert.equal(reasons?.length, 6)
  })

  it('ends with code 1 where there is no demo, and names what is not as announced', async () => {
    const { code, printed } = await tour([`${demo.line('API')}/nowhere`])
    assert.equal(code, 1)
    assert.match(printed, /✗ not so: A demo answers here\./)
  })
})
