import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { dirname, join } from 'node:path'
import { type TestContext, after, before, describe, it } from 'node:test'

import { type Asked, Mix } from '../../examples/demo/traffic/mix.ts'
import { type Demo, eventually, startDemo } from './demo.ts'

const TRAFFIC = join(dirname(dirname(import.meta.dirname)), 'examples', 'demo', 'traffic.js')

class Traffic {
  readonly process: ChildProcess
  output = ''

  constructor(t: TestContext, args: readonly string[]) {
    this.process = spawn(process.execPath, [TRAFFIC, ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
    })
    t.after(() => this.process.kill('SIGKILL'))
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => (this.output += text))
    }
  }

  async ended(): Promise<number | null> {
    if (this.process.exitCode === null) await once(this.process, 'close')
    return this.process.exitCode
  }

  /** A number of the summary, by the word behind it. */
  counted(what: string): number {
    const [, number = 'NaN'] = new RegExp(`([\\d,]+) ${what}`).exec(this.output) ?? []
    return Number(number.replaceAll(',', ''))
  }
}

describe('npm run demo:traffic', () => {
  let demo: Demo
  before(async () => {
    demo = await startDemo()
  })
  after(async () => {
    await demo.end()
  })

  it('sends hits, misses and writes, with a line each second, and a summary at the end', async (t) => {
    const traffic = new Traffic(t, ['--url', demo.line('API'), '--rate', '60', '--writes', '0.2'])
    await eventually(
      async () => {
        const { body: stats } = await demo.get('/stats')
        const isThere = stats.hits > 20 && stats.bypassed > 0 && stats.log.seq > 1
        return isThere && /^ +\d+ s +\d+ /m.test(traffic.output)
      },
      () => traffic.output,
    )
    traffic.process.kill('SIGINT')
    assert.equal(await traffic.ended(), 0, traffic.output)
    assert.match(traffic.output, /requests in [\d.]+ s, \d+ per second/)
    for (const what of ['hits', 'misses', 'writes', 'around the cache']) {
      assert.ok(traffic.counted(what) > 0, `${what}: ${traffic.output}`)
    }
  })

  it('ends by itself when it is told to', async (t) => {
    const traffic = new Traffic(t, ['--url', demo.line('API'), '--seconds', '1', '--rate', '20'])
    assert.equal(await traffic.ended(), 0, traffic.output)
    assert.match(traffic.output, /\d requests in [\d.]+ s/)
  })
})

describe('npm run demo:traffic, told something wrong', () => {
  it('says where no demo answers, and how to start one', async (t) => {
    const traffic = new Traffic(t, ['--url', 'http://127.0.0.1:1'])
    assert.equal(await traffic.ended(), 1)
    assert.match(traffic.output, /No demo answers at http:\/\/127\.0\.0\.1:1 \(ECONNREFUSED\)/)
    assert.match(traffic.output, /^ {2}npm start$/m)
  })

  it('names the option, its value and the fix', async (t) => {
    const traffic = new Traffic(t, ['--rate', 'many'])
    assert.equal(await traffic.ended(), 1)
    assert.match(traffic.output, /--rate is 'many'; give a number from 1 to 5000\n\nUsage:/)
  })
})

describe('the requests of the traffic', () => {
  const city = (id: number): ConstructorParameters<typeof Mix>[0][number] => {
    const place = { country: 'FR', latitude: 48.85341, longitude: 2.3488 }
    return { id, name: `City ${id}`, population: 1_000_000 + id, ...place }
  }
  const cities = Array.from({ length: 50 }, (_, at) => city(at + 1))
  const draw = (mix: Mix, times: number): Asked[] => Array.from({ length: times }, () => mix.next())

  it('ask for a popular city more often than for another', () => {
    const asked = draw(new Mix(cities, 0), 5000).map(({ path }) => path)
    const often = (path: string): number => asked.filter((each) => each === path).length
    assert.ok(often('/cities/1') > 4 * often('/cities/40'))
    assert.ok(often('/cities/40') > 0)
  })

  it('send back the entity tag that a client got', () => {
    const mix = new Mix([city(7)], 0)
    mix.keep('/cities/7', '"abc"')
    const tags = draw(mix, 200).map(({ headers }) => headers['if-none-match'])
    assert.ok(tags.includes('"abc"'))
  })

  it('change nothing of a city but the last digit of its population, and always that', () => {
    const own = city(42)
    const mix = new Mix([own], 1)
    let before = own.population
    const populations = draw(mix, 500).flatMap(({ body }) =>
      body === undefined ? [] : [(body as { population: number }).population],
    )
    for (const population of populations) {
      assert.equal(Math.floor(population / 10), 100_004)
      assert.notEqual(population, before)
      before = population
    }
    assert.ok(populations.length > 0)
  })
})
