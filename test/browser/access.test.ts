// Who may see the dashboard, and what pages of others can do with a browser that may.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'

import basicAuth from '@fastify/basic-auth'
import Fastify from 'fastify'

import { Client, listen } from '../support/app.ts'
import { openPage } from '../support/browser.ts'
import { PREFIX, type Setup, type Shop, startShop, statusOf } from './app.ts'

const CREDENTIALS = { username: 'admin', password: 'a long password' }

const guarded: Setup = {
  before: (app) =>
    app.register(basicAuth, {
      authenticate: true,
      validate: async (name, password) => {
        if (name !== CREDENTIALS.username || password !== CREDENTIALS.password)
          throw new Error('no')
      },
    }),
  dashboard: (app) => ({ onRequest: app.basicAuth }),
}

it('without the password nothing of the dashboard is shown', async (t) => {
  const { client } = await startShop(t, guarded)
  const { page } = await openPage(t, { origin: client.origin })
  const answer = await page.goto(`${client.origin}${PREFIX}/`).catch(() => undefined)
  assert.equal(answer?.status() ?? 401, 401)
  assert.equal(await page.getByRole('heading', { name: 'Response cache' }).count(), 0)
  for (const path of ['/', '/main.js', '/api/state', '/api/events', '/api/tags', '/nowhere']) {
    assert.equal((await client.get(`${PREFIX}${path}`)).status, 401, path)
  }
})

it('with the password the page opens and is live', async (t) => {
  const shop = await startShop(t, guarded)
  const { page } = await shop.open({ httpCredentials: CREDENTIALS })
  await page.getByRole('heading', { name: 'Response cache' }).waitFor()
  await page.getByRole('status').getByText('Live').waitFor()
})

/** A page of somebody else, opened in a browser that is logged in to the dashboard. */
async function strangersPage(t: TestContext, shop: Shop, html = ''): Promise<Evil> {
  const app = Fastify()
  app.get('/', (_request, reply) => reply.type('text/html').send(`<h1>Kittens</h1>${html}`))
  const { origin } = await listen(t, app)
  const context = { origin, httpCredentials: { ...CREDENTIALS, send: 'always' as const } }
  const { page, complaints } = await openPage(t, context)
  await page.goto(`${shop.client.origin}${PREFIX}/`)
  await page.getByRole('status').getByText('Live').waitFor()
  complaints.length = 0
  await page.goto(origin)
  return { page, complaints }
}
type Evil = Awaited<ReturnType<typeof openPage>>

const INVALIDATE_ALL = JSON.stringify({ by: 'pattern', value: '*' })

it('a page of another origin cannot invalidate, though the browser is logged in', async (t) => {
  const shop = await startShop(t, guarded)
  const url = `${shop.client.origin}${PREFIX}/api/invalidate`
  const form = `<form method="post" enctype="text/plain" action="${url}">
    <input name='{"by":"pattern","value":"*","x":"' value='"}'><button>Look</button></form>`
  const { page } = await strangersPage(t, shop, form)
  await shop.client.get('/products/1')

  for (const type of ['application/json', 'text/plain']) {
    const sent = `fetch('${url}', { method: 'POST', mode: '${type === 'text/plain' ? 'no-cors' : 'cors'}',
      credentials: 'include', headers: { 'content-type': '${type}' }, body: '${INVALIDATE_ALL}' })
      .then(({ type }) => type, () => 'refused')`
    assert.match(await page.evaluate(sent), /^(refused|opaque)$/)
  }
  await page.getByRole('button', { name: 'Look' }).click()
  await page.waitForURL(url)
  assert.doesNotMatch(await page.locator('body').innerText(), /seq/)
  assert.equal(await statusOf(shop.client, '/products/1'), 'hit')
})

it('a page of another origin can neither read the dashboard nor put it into a frame', async (t) => {
  const shop = await startShop(t, guarded)
  const url = `${shop.client.origin}${PREFIX}/`
  const { page, complaints } = await strangersPage(t, shop, `<iframe src="${url}"></iframe>`)
  assert.match(complaints.join('\n'), /frame-ancestors|X-Frame-Options/i)
  const reading = `fetch('${url}api/state', { credentials: 'include' }).then(() => 'read', () => 'refused')`
  assert.equal(await page.evaluate(reading), 'refused')
})

it('a request that tells a wrong Origin, or none, is refused', async (t) => {
  const { client } = await startShop(t)
  await client.get('/products/1')
  const post = async (headers: Record<string, string>): Promise<number> => {
    const type = { 'content-type': 'application/json' }
    const sent = { body: INVALIDATE_ALL, headers: { ...type, ...headers } }
    return (await client.send('POST', `${PREFIX}/api/invalidate`, sent)).status
  }
  assert.equal(await post({}), 403)
  assert.equal(await post({ origin: 'null' }), 403)
  assert.equal(await post({ origin: 'https://kittens.example' }), 403)
  assert.equal(await post({ origin: new Client(client.port + 1).origin }), 403)
  assert.equal(await statusOf(client, '/products/1'), 'hit')
  assert.equal(await post({ origin: client.origin }), 200)
  assert.notEqual(await statusOf(client, '/products/1'), 'hit')
})
