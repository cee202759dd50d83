// Regression: a response that is to be confirmed before each use was waited for by all requests, one
// behind the other, since each found it stale again.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Door, openDoor, start } from '../support/app.ts'
import { statusOf } from '../support/assert-status.ts'

const SEVERAL = 5

for (const cacheControl of ['no-cache', 'max-age=0', 'max-age=0, must-revalidate']) {
  for (const confirms of [true, false]) {
    const answered = confirms ? '304' : '200'
    test(`with ${cacheControl} and ${answered} nobody waits behind anybody for a confirmation`, async (t) => {
      let door = new Door()
      const client = await start(t, (app) => {
        app.get('/', { config: { cache: { ttl: 'headers' } } }, async (request, reply) => {
          await door.pass()
          reply.headers({ etag: '"a"', 'cache-control': cacheControl })
          const isSame = confirms && request.headers['if-none-match'] === '"a"'
          return isSame ? reply.code(304).send() : 'page'
        })
      })
      door.open()
      await client.get('/')
      door = new Door()
      const all = Array.from({ length: SEVERAL }, () => client.get('/'))
      await door.reached(SEVERAL)
      door.open()
      for (const answer of await Promise.all(all)) {
        assert.equal(answer.text, 'page')
        const { fwd, 'fwd-status': status } = statusOf(answer) as Record<string, unknown>
        assert.deepEqual([fwd, status], ['stale', confirms ? 304 : undefined])
      }
    })
  }
}

test('requests for what is stale at once, and may be served so, still share one run', async (t) => {
  const door = new Door()
  const gate = openDoor()
  const client = await start(t, (app) => {
    app.addHook('preHandler', () => gate.pass())
    app.get('/', { config: { cache: { ttl: 'headers' } } }, async (_request, reply) => {
      await door.pass()
      return reply.header('cache-control', 'max-age=0, stale-while-revalidate=60').send('page')
    })
  })
  const all = Array.from({ length: SEVERAL }, () => client.get('/'))
  await gate.reached(SEVERAL)
  await door.reached()
  door.open()
  await Promise.all(all)
  // One for all, and perhaps the refresh behind it.
  assert.ok(door.arrived <= 2, `${door.arrived} runs`)
})
