// An unsafe request in one process, seen by the next request to another.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import { assertHit, assertStored } from '../support/assert-status.ts'
import { startRedis } from '../support/redis.ts'
import { type Client, start } from '../support/app.ts'

test('when its client has the answer, no process answers from before it', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  const open = (context: TestContext): Promise<Client> =>
    start(
      context,
      (app) => {
        app.get('/items/:id', { config: { cache: true } }, async () => 'an item')
        app.get('/all', { config: { cache: { tags: ['items'] } } }, async () => 'all items')
        app.put('/items/:id', async (_request, reply) =>
          reply.header('cache-group-invalidation', '"items"').header('location', '/items/2').send(),
        )
      },
      {
        cache: {
          redis: server.url,
          namespace: 'shop',
          consistency: 'strict',
          defaults: { ttl: '1h' },
        },
      },
    )
  const [one, two] = [await open(t), await open(t)]
  const paths = ['/items/1', '/items/2', '/all']
  for (const path of paths) {
    assertStored(await two.get(path))
    assertHit(await two.get(path))
  }
  await one.send('PUT', '/items/1')
  for (const path of paths) assertStored(await two.get(path), 'stale')
  assert.equal((await one.get('/items/1')).text, 'an item')
})
