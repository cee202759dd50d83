// What the other tests rely on: a page that does what it should not is noticed.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'

import Fastify from 'fastify'

import { listen } from '../support/app.ts'
import { openPage } from '../support/browser.ts'

async function complaintsOf(t: TestContext, html: string, policy?: string): Promise<string[]> {
  const app = Fastify()
  app.get('/', (_request, reply) => {
    if (policy !== undefined) reply.header('content-security-policy', policy)
    return reply.type('text/html; charset=utf-8').send(`<link rel="icon" href="data:,">${html}`)
  })
  const { origin } = await listen(t, app)
  const { page, complaints } = await openPage(t, { origin })
  await page.goto(origin)
  return complaints.map((line) => line.replaceAll(origin, ''))
}

it('a page that does nothing wrong leaves no complaint', async (t) => {
  const html = '<!doctype html><h1>Fine</h1><script>console.log("fine")</script>'
  assert.deepEqual(await complaintsOf(t, html), [])
})

it('errors on the console and exceptions are noticed', async (t) => {
  const html = '<script>console.error("oh"); throw new Error("no")</script>'
  const [first, second] = await complaintsOf(t, html)
  assert.equal(first, 'console: oh')
  assert.match(second ?? '', /^exception: Error: no/)
})

it('what a Content-Security-Policy forbids is noticed', async (t) => {
  const html = '<p style="color: red">Red</p>'
  const complaints = await complaintsOf(t, html, "default-src 'none'; img-src data:")
  assert.match(complaints.join('\n'), /^Content-Security-Policy: style-src-attr inline/m)
})

it('text where trusted types are required is noticed', async (t) => {
  const html = '<script src="data:,document.body.innerHTML=location.hash"></script>'
  const policy = "script-src data: 'unsafe-inline'; require-trusted-types-for 'script'"
  const complaints = await complaintsOf(t, `<body>${html}`, policy)
  assert.match(complaints.join('\n'), /^Content-Security-Policy: require-trusted-types-for/m)
})

it('a request to another origin is noticed, and one that nobody answers', async (t) => {
  const complaints = await complaintsOf(
    t,
    '<img src="http://localhost:1/pixel.png"><img src="/no">',
  )
  assert.match(complaints.join('\n'), /^another origin: http:\/\/localhost:1\/pixel.png$/m)
  assert.match(complaints.join('\n'), /^failed: http:\/\/localhost:1\/pixel.png net::ERR_/m)
  assert.match(complaints.join('\n'), /^404: \/no$/m)
})
