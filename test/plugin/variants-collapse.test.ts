// Concurrent requests share the run of their own variant and never that of another, also while
// nobody knows yet that there are variants.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setImmediate as later, setTimeout as pause } from 'node:timers/promises'

import type { FastifyInstance } from 'fastify'

import { commandCalls } from '../store/command-calls.ts'
import { assertHit, assertStatus, statusOf } from '../support/assert-status.ts'
import { type Answer, type Client, Door, openDoor, start } from '../support/app.ts'
import type { ResponseCacheOptions, RouteCacheOptions } from '../../src/index.ts'
import { onEachTier, overRedis, sharedRedis } from '../support/tiers.ts'

const LANGUAGES = ['de', 'en', 'fr', 'it', 'pl']

interface Process {
  get: (language: string) => Promise<Answer>
  app: FastifyInstance
  client: Client
  gate: Door
}

/** Handlers of all processes stand at one door. */
async function startProcess(
  t: TestContext,
  cache: ResponseCacheOptions,
  handle: (language: string) => Promise<void>,
  route: RouteCacheOptions = { ttl: '1h' },
): Promise<Process> {
  const gate = openDoor()
  let own!: FastifyInstance
  const client = await start(
    t,
    (app) => {
      own = app
      app.get(
        '/page',
        { config: { cache: route }, preHandler: async () => gate.pass() },
        async ({ headers }, reply) => {
          const language = String(headers['accept-language'])
          await handle(language)
          return reply.header('vary', 'accept-language').send(`in ${language}`)
        },
      )
      app.get('/plain', { config: { cache: true } }, async () => 'the same for all')
    },
    { cache },
  )
  const get = (language: string): Promise<Answer> =>
    // One host in all processes.
    client.get('/page', { host: 'shop', 'accept-language': language })
  return { client, gate, app: own, get }
}

function assertOwn(languages: readonly string[], pages: readonly Answer[]): void {
  for (const [at, { text }] of pages.entries()) assert.equal(text, `in ${languages[at]}`)
}

onEachTier('50 requests of one variant make one run, known or not', async (t, options) => {
  for (const isKnown of [false, true]) {
    let door = openDoor()
    let runs = 0
    const { get, gate } = await startProcess(
      t,
      { ...options, ...(options.namespace && { namespace: `${options.namespace}-${isKnown}` }) },
      async () => {
        runs++
        await door.pass()
      },
    )
    if (isKnown) await get('en')
    runs = 0
    door = new Door()
    const before = gate.arrived
    const asked = Array.from({ length: 50 }, () => get('de'))
    await door.reached(1)
    await gate.reached(before + 50)
    await later()
    door.open()
    const pages = await Promise.all(asked)
    assertOwn(
      Array.from({ length: 50 }, () => 'de'),
      pages,
    )
    assert.equal(runs, 1)
    assert.equal(pages.filter((page) => statusOf(page).stored).length, 1)
    const fwd = isKnown ? 'vary-miss' : 'uri-miss'
    for (const page of pages) {
      const { stored, hit } = statusOf(page)
      // On a slow machine Redis may answer one when the run is over.
      if (!stored && !hit) assertStatus(page, { fwd, collapsed: true })
    }
  }
})

onEachTier(
  'requests of all variants at once, when nobody knows of them, make one run for each',
  async (t, options) => {
    const door = new Door()
    const runs: string[] = []
    const { get, gate } = await startProcess(t, options, async (language) => {
      runs.push(language)
      await door.pass()
    })
    const languages = Array.from({ length: 50 }, (_, at) => LANGUAGES[at % LANGUAGES.length]!)
    const asked = languages.map(get)
    await door.reached(1)
    await gate.reached(50)
    await later()
    assert.equal(runs.length, 1)
    door.open()
    assertOwn(languages, await Promise.all(asked))
    assert.deepEqual(runs.toSorted(), LANGUAGES)
    for (const language of LANGUAGES) assertHit(await get(language))
  },
)

onEachTier(
  'requests of all variants at once, when they are known, do not wait for each other',
  async (t, options) => {
    let door = openDoor()
    const runs: string[] = []
    const { get } = await startProcess(t, options, async (language) => {
      runs.push(language)
      await door.pass()
    })
    await get('xx')
    runs.length = 0
    door = new Door()
    const languages = Array.from({ length: 50 }, (_, at) => LANGUAGES[at % LANGUAGES.length]!)
    const asked = languages.map(get)
    await door.reached(LANGUAGES.length)
    door.open()
    assertOwn(languages, await Promise.all(asked))
    assert.deepEqual(runs.toSorted(), LANGUAGES)
  },
)

onEachTier('whatever happens at once, everybody gets the own variant', async (t, options) => {
  const { get, app } = await startProcess(t, options, async () => pause(Math.random() * 5), {
    ttl: '1h',
    tags: ['pages'],
  })
  for (let round = 0; round < 6; round++) {
    const languages = Array.from({ length: 60 }, () => LANGUAGES[Math.floor(Math.random() * 5)]!)
    const asked = languages.map(async (language) => {
      await pause(Math.random() * 10)
      return get(language)
    })
    await pause(5)
    await app.cache.invalidateTags(['pages'])
    assertOwn(languages, await Promise.all(asked))
  }
})

test('coalesce: false runs the handler for each, with the own variant', async (t) => {
  const door = new Door()
  const { get } = await startProcess(t, {}, () => door.pass(), { ttl: '1h', coalesce: false })
  const languages = [...LANGUAGES, ...LANGUAGES]
  const asked = languages.map(get)
  await door.reached(10)
  door.open()
  assertOwn(languages, await Promise.all(asked))
  for (const language of LANGUAGES) assertHit(await get(language))
})

for (const memory of [{}, { memory: false }] as const) {
  const title = memory.memory === false ? 'without memory' : 'with memory'
  test(`two processes that share Redis keep variants apart and share them, ${title}`, async (t) => {
    const shared = { ...(await overRedis()), ...memory }
    const door = new Door()
    const runs: string[] = []
    const handle = async (language: string): Promise<void> => {
      runs.push(language)
      await door.pass()
    }
    const processes = [await startProcess(t, shared, handle), await startProcess(t, shared, handle)]
    const languages = Array.from({ length: 100 }, (_, at) => LANGUAGES[at % LANGUAGES.length]!)
    const asked = languages.map((language, at) => processes[at % 2]!.get(language))
    await door.reached(2)
    for (const { gate } of processes) await gate.reached(50)
    door.open()
    assertOwn(languages, await Promise.all(asked))
    // One run in each process at most.
    for (const language of LANGUAGES) {
      const own = runs.filter((each) => each === language).length
      assert.ok(own === 1 || own === 2, `${own} runs for ${language}`)
    }
    for (const { get } of processes)
      for (const language of LANGUAGES) assertHit(await get(language))
  })
}

test('what one process has stored, another finds with its first request', async (t) => {
  const shared = await overRedis()
  let runs = 0
  const handle = async (): Promise<void> => void runs++
  const one = await startProcess(t, shared, handle)
  for (const language of LANGUAGES) await one.get(language)
  assertHit(await one.get('de'))
  const two = await startProcess(t, shared, handle)
  const languages = Array.from({ length: 20 }, (_, at) => LANGUAGES[at % LANGUAGES.length]!)
  const pages = await Promise.all(languages.map(two.get))
  assertOwn(languages, pages)
  for (const page of pages) assertHit(page)
  assert.equal(runs, LANGUAGES.length)
})

test('a lookup in Redis is one GET, and two where the response varies', async (t) => {
  const { client, get } = await startProcess(
    t,
    { ...(await overRedis()), memory: false },
    async () => {},
  )
  await Promise.all([client.get('/plain'), get('de')])
  const raw = (await sharedRedis()).client()
  // Each is asked once before, for whatever is asked only once.
  for (const [ask, gets] of [
    [() => client.get('/plain'), 1],
    [() => get('de'), 2],
  ] as const) {
    assertHit(await ask())
    const calls = await commandCalls(raw, async () => assertHit(await ask()))
    assert.equal(calls['getrange'], gets, JSON.stringify(calls))
    for (const name of ['set', 'evalsha', 'eval', 'mget']) assert.equal(calls[name], undefined)
  }
})

test('with memory a known variant that memory lacks is one GET', async (t) => {
  const shared = await overRedis()
  const one = await startProcess(t, shared, async () => {})
  const two = await startProcess(t, shared, async () => {})
  for (const language of ['de', 'en']) await one.get(language)
  assertHit(await two.get('de'))
  const calls = await commandCalls((await sharedRedis()).client(), async () =>
    assertHit(await two.get('en')),
  )
  assert.equal(calls['getrange'], 1, JSON.stringify(calls))
  const none = await commandCalls((await sharedRedis()).client(), async () =>
    assertHit(await two.get('en')),
  )
  assert.equal(none['get'], undefined, JSON.stringify(none))
})
