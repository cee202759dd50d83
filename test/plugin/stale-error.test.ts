// RFC 5861 §4: a stale response in place of an error.
import assert from 'node:assert/strict'
import { PassThrough } from 'node:stream'
import { test } from 'node:test'

import type { FastifyReply } from 'fastify'

import type { InvalidateOptions } from '../../src/index.ts'
import { statusOf } from '../support/assert-status.ts'
import { eventually } from '../support/clock.ts'
import type { Answer } from '../support/app.ts'
import { onEachTier } from '../support/tiers.ts'
import { type SceneOptions, startScene } from './stale.ts'

const SIE = { staleIfError: 60 } as const

function failing(status: number): Error {
  return Object.assign(new Error('broken'), { statusCode: status })
}

function failingStream(): PassThrough {
  const stream = new PassThrough()
  setImmediate(() => stream.destroy(new Error('broken')))
  return stream
}

/** Ways to fail, each with the status that the client would see. */
const FAILURES: Record<string, [number, (reply: FastifyReply) => unknown]> = {
  'throws in an async function': [500, () => Promise.reject(new Error('broken'))],
  'throws an error with a status': [503, () => Promise.reject(failing(503))],
  // oxlint-disable-next-line typescript/prefer-promise-reject-errors
  'throws what is no error': [500, () => Promise.reject('broken' as never)],
  'sends an error': [502, (reply) => reply.send(failing(502))],
  'sends an error after a status': [504, (reply) => reply.code(504).send(new Error('broken'))],
  'answers with 500': [500, (reply) => reply.code(500).send({ message: 'broken' })],
  'answers with 599': [599, (reply) => reply.code(599).header('x-own', 'error').send('broken')],
  'answers 503 with a stream': [503, (reply) => reply.code(503).send(new PassThrough().end('no'))],
  'gives a stream that fails before its first byte': [
    500,
    (reply) => reply.header('x-own', 'error').type('text/csv').send(failingStream()),
  ],
}

/** First a page, then what `fail` does, while `broken` is true. */
function breaking(
  fail: (reply: FastifyReply) => unknown,
  route: SceneOptions['route'] = SIE,
): SceneOptions & { broken: boolean } {
  const options: SceneOptions & { broken: boolean } = {
    broken: false,
    route,
    answer: (run, _request, reply) => {
      if (options.broken) return fail(reply)
      return reply.header('x-own', 'page').send(`run ${run}`)
    },
  }
  return options
}

function assertRescued(answer: Answer, fwdStatus: number, text = 'run 1'): void {
  assert.equal(answer.status, 200)
  assert.equal(answer.text, text)
  assert.equal(answer.headers['x-own'], 'page')
  assert.match(String(answer.headers['content-type']), /^text\/plain/)
  assert.deepEqual(statusOf(answer), {
    fwd: 'stale',
    'fwd-status': fwdStatus,
    detail: 'stale-if-error',
  })
}

for (const [name, [status, fail]] of Object.entries(FAILURES)) {
  onEachTier(`the stale response stands in for a handler that ${name}`, async (t, cache) => {
    const options = breaking(fail)
    const scene = await startScene(t, { ...options, cache })
    await scene.get()
    scene.pass(12)
    options.broken = true
    for (const run of [2, 3]) {
      const answer = await scene.get()
      assertRescued(answer, status)
      assert.equal(answer.headers.age, '12')
      assert.equal(scene.runs, run, 'it was not stored again')
    }
    options.broken = false
    assert.equal((await scene.get()).text, 'run 4')
    assert.equal(statusOf(await scene.get()).hit, true)
  })

  test(`without a window a handler that ${name} is the answer, after an invalidation too`, async (t) => {
    const options = breaking(fail, {})
    const scene = await startScene(t, options)
    await scene.get()
    options.broken = true
    await scene.cache.invalidateTags(['x'])
    assert.equal((await scene.get()).status, status)
    await scene.cache.invalidateTags(['x'], { mode: 'soft' })
    assert.equal((await scene.get()).status, status)
    scene.pass(12)
    assert.equal((await scene.get()).status, status)
  })
}

test('the stale response stands in for a handler that throws at once', async (t) => {
  let broken = false
  const scene = await startScene(t, {
    build: (app) => {
      app.get('/sync', { config: { cache: { ttl: 10, ...SIE } } }, (_request, reply) => {
        if (broken) throw new Error('broken')
        void reply.header('x-own', 'page').send('run 1')
      })
    },
  })
  await scene.client.get('/sync')
  scene.pass(12)
  broken = true
  assertRescued(await scene.client.get('/sync'), 500)
})

const NOT_RESCUED: Record<string, (reply: FastifyReply) => unknown> = {
  'answers with 404': (reply) => reply.code(404).send('no'),
  'throws an error that says 404': () => Promise.reject(failing(404)),
  'throws after it has set 404': (reply) => {
    reply.code(404)
    throw new Error('no')
  },
  'sends an error that says 404': (reply) => reply.send(failing(404)),
}

for (const [name, fail] of Object.entries(NOT_RESCUED)) {
  test(`a handler that ${name} is the answer`, async (t) => {
    const options = breaking(fail)
    const scene = await startScene(t, options)
    await scene.get()
    scene.pass(12)
    options.broken = true
    assert.equal((await scene.get()).status, 404)
  })
}

const broken500 = (): Promise<never> => Promise.reject(new Error('broken'))

test('after the window an error is an error', async (t) => {
  const options = breaking(broken500, { staleIfError: 5 })
  const scene = await startScene(t, options)
  await scene.get()
  options.broken = true
  scene.pass(14)
  assertRescued(await scene.get(), 500)
  scene.pass(1)
  assert.equal((await scene.get()).status, 500)
})

for (const [directives, status] of [
  ['stale-if-error=5', 500],
  ['stale-if-error=50', 200],
  ['must-revalidate, stale-if-error=50', 500],
  ['proxy-revalidate, stale-if-error=50', 500],
] as const) {
  test(`20 s after it became stale a response with ${directives} makes ${status} of an error`, async (t) => {
    let broken = false
    const scene = await startScene(t, {
      route: { staleIfError: 30 },
      answer: (run, _request, reply) => {
        if (broken) throw new Error('broken')
        return reply.header('cache-control', directives).send(`run ${run}`)
      },
    })
    await scene.get()
    broken = true
    scene.pass(30)
    assert.equal((await scene.get()).status, status)
  })
}

onEachTier(
  'those who wait for the run that fails share the stale response at once',
  async (t, cache) => {
    const options = breaking(broken500)
    const scene = await startScene(t, { ...options, cache })
    await scene.get()
    scene.pass(12)
    options.broken = true
    const door = scene.shut()
    const all = Array.from({ length: 20 }, () => scene.get())
    await door.reached()
    await eventually('one run for all', () => scene.cache.stats().flights === 1)
    const startedAt = performance.now()
    door.open()
    for (const answer of await Promise.all(all)) {
      assert.equal(answer.text, 'run 1')
      assert.equal(statusOf(answer).detail, 'stale-if-error')
    }
    assert.ok(performance.now() - startedAt < 2000, 'nobody waited for the end of a wait')
    await eventually('the run is over', () => scene.cache.stats().flights === 0)
    // Regression: the flight of a rescued run was never released.
    const again = performance.now()
    assertRescued(await scene.get(), 500)
    assert.ok(performance.now() - again < 2000, 'nor behind it')
  },
)

test('error handlers and onError hooks do not hear of an error that the stale response stands in for', async (t) => {
  const heard: string[] = []
  const options = breaking(broken500)
  const scene = await startScene(t, {
    ...options,
    build: (app) => {
      app.setErrorHandler((_error, _request, reply) => {
        heard.push('handler')
        void reply.code(500).send('handled')
      })
      app.addHook('onError', async () => void heard.push('hook'))
    },
  })
  await scene.get()
  scene.pass(12)
  options.broken = true
  assertRescued(await scene.get(), 500)
  assert.deepEqual(heard, [])
  scene.pass(60)
  assert.equal((await scene.get()).text, 'handled')
  assert.deepEqual(heard, ['hook', 'handler'])
})

for (const [mode, status] of [
  ['soft', 200],
  ['expire', 500],
  ['purge', 500],
] as const) {
  for (const moment of ['before', 'while'] as const) {
    onEachTier(
      `an invalidation with mode ${mode} ${moment} the handler runs leaves a stand-in: ${status}`,
      async (t, cache) => {
        const options = breaking(broken500)
        const scene = await startScene(t, { ...options, cache })
        await scene.get()
        const invalidate = (): Promise<void> =>
          scene.cache.invalidateTags(['x'], { mode } satisfies InvalidateOptions)
        options.broken = true
        if (moment === 'before') await invalidate()
        else scene.pass(12)
        const door = scene.shut()
        const asked = scene.get()
        await door.reached()
        if (moment === 'while') await invalidate()
        door.open()
        const answer = await asked
        assert.equal(answer.status, status)
        if (status === 200) assertRescued(answer, 500)
      },
    )
  }
}

test('a request that comes after a purge does not get what a run that began before stands in with', async (t) => {
  const options = breaking(broken500)
  const scene = await startScene(t, options)
  await scene.get()
  scene.pass(12)
  options.broken = true
  const door = scene.shut()
  const early = scene.get()
  await door.reached()
  await scene.cache.invalidateTags(['x'], { mode: 'purge' })
  const late = scene.get()
  await eventually('it waits too', () => scene.cache.stats().flights > 0)
  door.open()
  assert.equal((await late).status, 500)
  assert.equal((await early).status, 500)
})

test('fields that hooks set for this request are made anew on the stand-in', async (t) => {
  const options = breaking((reply) => reply.code(500).header('x-hook', 'changed').send('no'))
  let count = 0
  const scene = await startScene(t, {
    ...options,
    build: (app) => {
      app.addHook('onRequest', async (_request, reply) => void reply.header('x-hook', `${++count}`))
    },
  })
  await scene.get()
  scene.pass(12)
  options.broken = true
  const answer = await scene.get()
  assertRescued(answer, 500)
  assert.equal(answer.headers['x-hook'], '2')
})

test('a client that holds the stale response is told that it still may use it', async (t) => {
  let broken = false
  const scene = await startScene(t, {
    route: SIE,
    answer: (run, _request, reply) => {
      if (broken) throw new Error('broken')
      return reply.header('etag', '"a"').send(`run ${run}`)
    },
  })
  await scene.get()
  scene.pass(12)
  broken = true
  const answer = await scene.get({ 'if-none-match': '"a"' })
  assert.equal(answer.status, 304)
  assert.equal(statusOf(answer).detail, 'stale-if-error')
  assert.equal((await scene.get({ 'if-none-match': '"b"' })).text, 'run 1')
})
