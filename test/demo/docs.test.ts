import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'

import { type Answer, type Demo, startDemo } from './demo.ts'

const OPERATIONS = [
  ...['get /cities', 'post /cities', 'get /cities/nearest'],
  ...['get /cities/{id}', 'put /cities/{id}', 'patch /cities/{id}', 'delete /cities/{id}'],
  ...['get /cities/largest', 'post /cities/invalidate'],
  ...['get /cities/{id}/views', 'post /cities/{id}/views'],
  ...['get /countries', 'get /countries/{code}', 'get /countries/{code}/statistics'],
  ...['get /countries/{code}/name', 'get /countries/{code}/summary'],
  'post /countries/{code}/changed',
  ...['get /favourites', 'put /favourites/{id}', 'delete /favourites/{id}'],
  ...['get /cache', 'delete /cache', 'post /cache/invalidate', 'get /cache/{key}/exists'],
  ...['get /cache/{key}', 'put /cache/{key}', 'delete /cache/{key}'],
  ...['post /sessions', 'delete /sessions'],
  ...['get /sessions/current', 'delete /sessions/current'],
  ...['get /users/{id}', 'put /users/{id}', 'patch /users/{id}', 'delete /users/{id}'],
  'get /users/{id}/{field}',
  ...['get /rate-limit/check', 'get /rate-limit/bucket', 'post /lock/{resource}'],
  ...['get /queue/tasks', 'post /queue/tasks', 'delete /queue/tasks', 'post /queue/tasks/take'],
  ...['post /queue/reports', 'get /queue/reports/{id}'],
  ...['get /queue/list', 'post /queue/list', 'delete /queue/list', 'post /queue/list/take'],
  ...['get /leaderboard', 'delete /leaderboard'],
  ...['get /leaderboard/{player}', 'post /leaderboard/{player}'],
  ...['get /events', 'post /events'],
  ...['get /statistics', 'get /health', 'get /stats', 'post /stats/reset'],
]

interface Operation {
  summary?: string
  parameters?: { schema: { pattern?: string } }[]
  responses: Record<string, { description: string }>
}

describe('The documentation of the demo', () => {
  let demo: Demo
  before(async () => {
    demo = await startDemo()
  })
  after(() => demo.end())

  it('lists every route with a summary and its answers', async () => {
    const { body } = await demo.get('/docs/json')
    const paths: [string, Record<string, Operation>][] = Object.entries(body.paths)
    const found = paths.flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ path, method, operation })),
    )
    assert.deepEqual(
      found.map(({ path, method }) => `${method} ${path}`).sort(),
      OPERATIONS.toSorted(),
    )
    for (const { path, operation } of found) {
      assert.ok(operation.summary, path)
      for (const { description } of Object.values(operation.responses)) assert.ok(description)
      // Swagger UI compiles patterns without the flag u, and refuses what then does not match.
      for (const { schema } of operation.parameters ?? []) {
        assert.doesNotThrow(() => new RegExp(schema.pattern ?? ''))
        assert.doesNotMatch(schema.pattern ?? '', /\\[pP]\{/)
      }
    }
  })

  it('shows an example of every body that can be sent, and takes it', async () => {
    const { body } = await demo.get('/docs/json')
    const example = (path: string, method: string): object => {
      return body.paths[path][method].requestBody.content['application/json'].example
    }
    const created = await demo.send('POST', '/cities', { body: example('/cities', 'post') })
    assert.equal(created.status, 201)
    const path = `/cities/${created.body.id}`
    for (const method of ['put', 'patch'] as const) {
      const sent = example('/cities/{id}', method)
      assert.equal((await demo.send(method.toUpperCase(), path, { body: sent })).status, 200)
    }
  })

  it('is a page that needs nothing from elsewhere', async () => {
    const page = await demo.get('/docs')
    assert.equal(page.status, 200)
    assert.match(page.body, /swagger-ui/)
    const policy = String(page.headers['content-security-policy'])
    assert.match(policy, /default-src 'self'/)
    assert.doesNotMatch(policy, /https?:|upgrade-insecure-requests/)
    const assets = [...page.body.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, path]) => path)
    assert.ok(assets.length >= 4)
    for (const path of assets) {
      assert.match(path, /^\/docs\/static\//)
      assert.equal((await demo.get(path)).status, 200, path)
    }
  })

  it('does not show the dashboard, which is for whoever has the printed password', async () => {
    const [, url, user, password] =
      /(\S+) +user (\S+), password (\S{12})/.exec(demo.line('Dashboard')) ?? []
    assert.equal(url, `${demo.line('API')}/cache-dashboard`)
    const state = '/cache-dashboard/api/state'
    const asked = async (given: string): Promise<Answer> => {
      const authorization = `Basic ${Buffer.from(given).toString('base64')}`
      return demo.get(state, { authorization })
    }
    const refused = await demo.get(state)
    assert.equal(refused.status, 401)
    assert.match(String(refused.headers['www-authenticate']), /^Basic realm=/)
    for (const wrong of [`${user}:wrong`, `other:${password}`, `${user}:`]) {
      assert.equal((await asked(wrong)).status, 401, wrong)
    }
    const { status, body } = await asked(`${user}:${password}`)
    assert.equal(status, 200)
    assert.equal(body.stats.namespace, 'demo')
  })
})
