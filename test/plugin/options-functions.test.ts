// Functions among the options are the user's: whatever they do, requests get their answers and the
// process goes on. An unhandled rejection fails the test that is running.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate as later } from 'node:timers/promises'

import Fastify from 'fastify'

import responseCache, { InvalidOptionError } from '../../src/index.ts'
import { assertBypass, assertNotStored, statusOf } from '../support/assert-status.ts'
import { start } from '../support/app.ts'

const rejecting = (() => Promise.reject(new Error('broken option'))) as () => never

const READING = ['ttl', 'tags', 'storable', 'bypass', 'by'] as const

for (const name of READING) {
  test(`a promise from ${name} that rejects leaves the answer as it is and is nobody's trouble`, async (t) => {
    const errors: string[] = []
    const client = await start(
      t,
      (app) => {
        const own = name === 'by' ? { vary: { by: rejecting } } : { [name]: rejecting }
        app.get('/x', { config: { cache: { ttl: 60, ...own } } }, async () => 'page')
      },
      { cache: { onError: (_error, { operation }) => errors.push(operation) } },
    )
    for (let visit = 0; visit < 2; visit++) {
      const answer = await client.get('/x')
      assert.deepEqual([answer.status, answer.text], [200, 'page'])
      if (name === 'by') assertBypass(answer, 'vary-by-failed')
      // A promise is not `false`, and to go around is always safe.
      else if (name === 'bypass') assert.equal(statusOf(answer).fwd, 'bypass')
      else assertNotStored(answer, 'option-failed')
    }
    await later()
    if (name !== 'bypass') assert.equal(errors.length, 2)
  })
}

test("a promise from invalidates that rejects leaves the answer as it is and is nobody's trouble", async (t) => {
  const errors: string[] = []
  const client = await start(
    t,
    (app) => {
      app.post('/w', { config: { cache: { invalidates: rejecting } } }, async () => 'done')
    },
    { cache: { onError: (_error, { operation }) => errors.push(operation) } },
  )
  assert.equal((await client.send('POST', '/w')).text, 'done')
  await later()
  assert.deepEqual(errors, ['invalidates'])
})

test('an async function where an answer is needed at once is an error at registration', async () => {
  const app = Fastify()
  await app.register(responseCache)
  const isAsync = async (): Promise<never> => assert.fail('not called')
  for (const name of READING) {
    const own = (name === 'by' ? { vary: { by: isAsync } } : { [name]: isAsync }) as never
    assert.throws(
      () =>
        app.get(
          `/${name}`,
          { config: { cache: Object.assign({ ttl: 60 }, own) } },
          async () => 'x',
        ),
      (error: Error) => {
        assert.ok(error instanceof InvalidOptionError)
        assert.match(
          error.message,
          new RegExp(`GET /${name}: config\\.cache\\.(vary\\.)?${name}.*async`),
        )
        return true
      },
    )
  }
  assert.throws(
    () => app.post('/w', { config: { cache: { invalidates: isAsync as never } } }, async () => 'x'),
    /POST \/w: config\.cache\.invalidates.*async/,
  )
})

test('an onError that throws does not reach the request', async (t) => {
  const client = await start(
    t,
    (app) => {
      const tags = (): never => assert.fail('broken option')
      app.get('/x', { config: { cache: { tags } } }, async () => 'page')
    },
    {
      cache: {
        onError: () => {
          throw new Error('broken listener')
        },
      },
    },
  )
  assert.equal((await client.get('/x')).text, 'page')
})
