import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { type TestContext, describe, it } from 'node:test'

import { Client } from '../support/app.ts'
import { startRedis } from '../support/redis.ts'
import { guardedFolder } from '../support/redis-guard.ts'
import { childrenOf, eventually, isAlive } from './demo.ts'

const FLEET = join(dirname(dirname(import.meta.dirname)), 'examples', 'fleet.js')

interface Product {
  version: number
  price: number
}

class Fleet {
  readonly process: ChildProcess
  output = ''

  constructor(t: TestContext, args: readonly string[], env: Record<string, string> = {}) {
    const { REDIS_URL: _redis, HOST: _host, ...inherited } = process.env
    this.process = spawn(process.execPath, [FLEET, ...args], {
      env: { ...inherited, PORT: '0', ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    // Its processes end when this one does.
    const folder = mkdtempSync(join(guardedFolder(), 'fleet-'))
    writeFileSync(join(folder, 'pid'), String(this.process.pid))
    t.after(() => this.process.kill('SIGKILL'))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
  }

  async printed(pattern: RegExp): Promise<RegExpExecArray> {
    await eventually(
      () => pattern.test(this.output),
      () => `${pattern} was not printed, but:\n${this.output}`,
    )
    return pattern.exec(this.output)!
  }

  async client(): Promise<Client> {
    await this.printed(/Ctrl\+C stops it/)
    return new Client(Number(/processes on http:\/\/127\.0\.0\.1:(\d+)/.exec(this.output)![1]))
  }

  /** The rows of the table that is printed last, by the name of the column. */
  table(): Record<string, string>[] {
    const lines = this.output.split('\n')
    const from = lines.findLastIndex((line) => /^ *pid +hits/.test(line))
    const cells = (line: string): string[] => line.trim().split(/ {2,}/)
    const names = cells(lines[from]!)
    const rows = lines.slice(from + 1, lines.indexOf('', from))
    return rows.map((row) =>
      Object.fromEntries(cells(row).map((cell, at) => [names[at] ?? '', cell])),
    )
  }

  async ended(): Promise<number | null> {
    await eventually(
      () => this.process.exitCode !== null || this.process.signalCode !== null,
      () => `the fleet still runs; it printed:\n${this.output}`,
    )
    return this.process.exitCode
  }
}

/** Asks until every process has answered as the condition wants it. */
async function fromEach(
  client: Client,
  processes: number,
  condition: (product: Product, cache: string) => boolean,
): Promise<Set<string>> {
  const seen = new Set<string>()
  await eventually(
    async () => {
      const { headers, text } = await client.get('/products/7')
      const cache = String(headers['cache-status'])
      if (condition(JSON.parse(text) as Product, cache)) seen.add(String(headers['x-process']))
      return seen.size === processes
    },
    () => `only ${[...seen].join(', ')} answered so`,
  )
  return seen
}

async function write(client: Client, price: number): Promise<Product> {
  const answer = await client.send('PUT', '/products/7', {
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ price }),
  })
  assert.equal(answer.status, 200)
  return JSON.parse(answer.text) as Product
}

describe('npm run fleet', () => {
  it('without Redis says what that means: a write is known to one process only', async (t) => {
    const fleet = new Fleet(t, ['--processes', '2', '--no-traffic'])
    const client = await fleet.client()
    assert.match(fleet.output, /REDIS_URL is not set: each process has a cache of its own/)
    await fromEach(client, 2, (_product, cache) => cache.includes('hit'))
    const written = await write(client, 55)
    await fromEach(client, 1, ({ price }) => price === written.price)
    await fromEach(
      client,
      1,
      ({ version }, cache) => version < written.version && /hit/.test(cache),
    )
    const stats = JSON.parse((await client.get('/stats')).text) as { log: object; process: number }
    assert.ok(childrenOf(fleet.process.pid!).includes(stats.process))
    fleet.process.kill('SIGTERM')
    assert.equal(await fleet.ended(), 0)
    const rows = fleet.table()
    assert.equal(rows.length, 2)
    assert.ok(
      rows.every(({ hits, bound, behind }) => hits !== '0' && bound === 'ttl' && behind === '-'),
    )
  })

  it('with Redis every process knows a write, and a killed one is replaced', async (t) => {
    const redis = await startRedis({ password: 'secret' })
    t.after(() => redis.stop())
    const fleet = new Fleet(t, ['--processes', '2', '--no-traffic'], { REDIS_URL: redis.url })
    const client = await fleet.client()
    assert.match(fleet.output, /sharing responses and invalidations through redis:/)
    assert.doesNotMatch(fleet.output, /secret|does not answer/)
    const before = await fromEach(client, 2, (_product, cache) => cache.includes('hit'))
    const { version } = await write(client, 66)
    await fromEach(client, 2, (product) => product.version === version)
    const [, killed = ''] = await fleet.printed(/^ {2}kill -9 (\d+)$/m)
    process.kill(Number(killed), 'SIGKILL')
    await fleet.printed(new RegExp(`Process ${killed} has ended \\(SIGKILL\\)`))
    const after = await fromEach(client, 2, (product) => product.version === version)
    assert.ok(before.has(killed) && !after.has(killed))
    const workers = childrenOf(fleet.process.pid!)
    fleet.process.kill('SIGINT')
    assert.equal(await fleet.ended(), 0)
    assert.equal(workers.filter(isAlive).length, 0)
    for (const row of fleet.table()) {
      assert.deepEqual([row['bound'], row['breaker'], row['pending']], ['2000 ms', 'closed', '0'])
      assert.match(row['verified'] ?? '', /^\d+ ms$/)
    }
  })

  it('makes traffic of its own for as long as it is told, in which nobody is stale for longer than the bound', async (t) => {
    const redis = await startRedis()
    t.after(() => redis.stop())
    const args = ['--processes', '2', '--seconds', '2']
    const fleet = new Fleet(t, args, { REDIS_URL: redis.url })
    assert.equal(await fleet.ended(), 0)
    const last = fleet.output.trim().split('\n').at(-1)!
    const [, requests = '0', failed] = /([\d,]+) requests, (\d+) failed/.exec(last)!
    assert.ok(Number(requests.replace(',', '')) > 10, last)
    assert.equal(failed, '0')
    assert.ok(Number(/stalest (\d+) ms/.exec(last)![1]) <= 2000, last)
    assert.ok(fleet.table().every(({ rate }) => /^\d+ %$/.test(rate ?? '')))
  })

  it('says what is wrong with an option, or that the port is taken', async (t) => {
    const odd = new Fleet(t, ['--processes', 'many'])
    assert.equal(await odd.ended(), 1)
    assert.match(odd.output, /--processes is 'many'; give a whole number from 1 to 64\n\nUsage:/)
    const taken = createServer()
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve))
    t.after(() => taken.close())
    const { port } = taken.address() as { port: number }
    const second = new Fleet(t, [], { PORT: String(port) })
    assert.equal(await second.ended(), 1)
    assert.match(second.output, new RegExp(`EADDRINUSE.*${port}`))
  })
})
