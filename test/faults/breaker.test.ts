// While Redis is no help: what stays, what it costs, and how it is found out that Redis is back.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'
import { type TestContext, describe, it } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache, { type ResponseCacheOptions } from '../../src/index.ts'
import { statusOf } from '../support/assert-status.ts'
import { type Answer, type Client, Door, listen, openDoor } from '../support/app.ts'
import { eventually } from '../support/clock.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'

class Scene {
  readonly server: RedisServer
  readonly app: FastifyInstance
  /** Where handlers wait. */
  door: Door = openDoor()
  runs = 0
  client!: Client
  readonly #agent = new Agent({ keepAlive: true })

  constructor(t: TestContext, server: RedisServer, app: FastifyInstance) {
    this.server = server
    this.app = app
    t.after(() => this.#agent.destroy())
  }

  async send(path: string): Promise<Answer> {
    const answer = await this.client.send('GET', path, { agent: this.#agent })
    assert.equal(answer.status, 200)
    return answer
  }

  async get(path: string): Promise<{ text: string; hit: boolean; ttl: number }> {
    const answer = await this.send(path)
    const { hit, ttl } = statusOf(answer)
    return { text: answer.text, hit: hit === true, ttl: Number(ttl) }
  }

  breaker(): string {
    return this.app.cache.stats().redis!.breaker
  }

  get isVerified(): boolean {
    return this.app.cache.stats().log.verified
  }
}

async function startScene(
  t: TestContext,
  cache: ResponseCacheOptions | false,
  ttl: number | string = '1h',
): Promise<Scene> {
  const server = await startRedis()
  t.after(() => server.stop())
  const app = Fastify()
  const scene = new Scene(t, server, app)
  if (cache !== false) {
    await app.register(responseCache, { redis: server.url, namespace: 'shop', ...cache })
  }
  app.get<{ Params: { id: string } }>(
    '/:id',
    { config: { cache: { ttl, staleWhileRevalidate: '1h' } } },
    async (request) => {
      const run = ++scene.runs
      await scene.door.pass()
      return `${request.params.id} ${run}`
    },
  )
  scene.client = await listen(t, app)
  t.after(() => server.thaw())
  return scene
}

/** Once open it stays so for as long as the test takes. */
const FOR_GOOD = { failures: 2, resetMs: 600_000 }

async function openBreaker(scene: Scene): Promise<void> {
  scene.server.freeze()
  let n = 0
  await eventually('the breaker is open', async () => {
    await scene.get(`/opening-${++n}`)
    return scene.breaker() === 'open'
  })
}

const TIMES = 100
let colds = 0

/** The median of what one request for a cold key takes, one after the other. */
async function coldRequestMs(scene: Scene): Promise<number> {
  const took: number[] = []
  for (let n = 0; n < TIMES; n++) {
    const start = performance.now()
    await scene.send(`/cold-${++colds}`)
    took.push(performance.now() - start)
  }
  return took.sort((a, b) => a - b)[TIMES / 2]!
}

// Each test has a server of its own and waits most of the time.
describe('an application whose Redis is no help', { concurrency: 3 }, () => {
  it('answers from memory under the lease rule while the breaker is open', async (t) => {
    const scene = await startScene(t, { deadlineMs: 50, breaker: FOR_GOOD })
    await scene.get('/kept')
    const start = performance.now()
    await openBreaker(scene)
    let hits = 0
    await eventually('the lease has run out', async () => {
      const wasVerified = scene.isVerified
      const { hit } = await scene.get('/kept')
      // What has to be confirmed cannot be.
      if (!wasVerified) assert.equal(hit, false)
      else if (scene.isVerified) assert.equal(hit, true)
      if (hit) hits++
      return !wasVerified
    })
    const took = performance.now() - start
    assert.ok(hits > 0 || took > 1500, `no hits in ${took} ms`)
    assert.equal(scene.breaker(), 'open')
  })

  it('shares one run among concurrent requests while it is open, within the lease and after it', async (t) => {
    const scene = await startScene(t, { deadlineMs: 50, breaker: FOR_GOOD })
    await openBreaker(scene)
    for (const path of ['/first', '/second']) {
      scene.door = new Door()
      t.after(() => scene.door.open())
      const { runs } = scene
      const answers = Array.from({ length: 30 }, () => scene.get(path))
      await scene.door.reached()
      // They have all come: this one came after them, on a connection that was there.
      await eventually('the others wait', async () => {
        await scene.client.get('/nothing/here')
        return scene.app.cache.stats().flights === 1
      })
      scene.door.open()
      const texts = new Set((await Promise.all(answers)).map(({ text }) => text))
      assert.deepEqual([...texts], [`${path.slice(1)} ${runs + 1}`])
      assert.equal(scene.runs, runs + 1)
      await eventually('the lease has run out', () => !scene.isVerified)
    }
  })

  it('answers as fast as without the cache while it is open, but for some little time', async (t) => {
    const plain = await startScene(t, false)
    const scene = await startScene(t, { deadlineMs: 250, breaker: FOR_GOOD })
    await openBreaker(scene)
    // Alternately, so that other work on the machine is in both.
    const differences: number[] = []
    for (let round = 0; round < 3; round++) {
      const without = await coldRequestMs(plain)
      differences.push((await coldRequestMs(scene)) - without)
    }
    assert.equal(scene.breaker(), 'open')
    const added = Math.min(...differences)
    t.diagnostic(`an open breaker adds ${added.toFixed(2)} ms to a request for a cold key`)
    assert.ok(added < 5, `${added} ms more, of a deadline of 250 ms`)
  })

  it('asks a frozen Redis one question at a time, however many requests there are', async (t) => {
    const deadlineMs = 100
    const breaker = { failures: 2, resetMs: 50 }
    const scene = await startScene(t, { deadlineMs, breaker, memory: false })
    await openBreaker(scene)
    const asked = (): number => {
      const { get = 0, set = 0, confirm = 0, invalidate = 0 } = scene.app.cache.stats().failures
      return get + set + confirm + invalidate
    }
    const before = asked()
    const start = performance.now()
    // Past several probes, under load.
    await eventually('three probes have failed', async () => {
      await Promise.all(Array.from({ length: 20 }, (_, n) => scene.get(`/item-${n}`)))
      return asked() >= before + 3
    })
    // Each takes its deadline, and then nothing is asked for a while.
    const most = 2 + (performance.now() - start) / (deadlineMs + breaker.resetMs)
    assert.ok(asked() - before <= most, `${asked() - before} questions, at most ${most}`)
    scene.server.thaw()
    await eventually('it is closed, and Redis is used', async () => {
      await scene.get('/back')
      return (await scene.get('/back')).hit && scene.breaker() === 'closed'
    })
  })

  it('waits only for the soft deadline where it has a stale response', async (t) => {
    const deadlineMs = 10_000
    const scene = await startScene(t, { deadlineMs, softDeadlineMs: 20 }, 0.2)
    assert.equal((await scene.get('/page')).text, 'page 1')
    scene.server.freeze()
    const start = performance.now()
    await eventually('it is served stale', async () => {
      const { text, ttl } = await scene.get('/page')
      return text === 'page 1' && ttl < 0
    })
    const took = performance.now() - start
    assert.ok(took < deadlineMs / 2, `${took} ms, of a deadline of ${deadlineMs} ms`)
    assert.equal(scene.app.cache.stats().failures['get'], undefined)
    assert.equal(scene.breaker(), 'closed')
  })
})
