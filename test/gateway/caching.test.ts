// What the upstream says of its responses decides: lifetimes, statuses, who may share them.
import assert from 'node:assert/strict'
import { type TestContext, describe, it, mock } from 'node:test'

import { type Client } from '../support/app.ts'
import { type RawRequest, response } from '../support/raw-upstream.ts'
import { statusOf } from '../support/assert-status.ts'
import { speak, startGateway } from './gateway.ts'

const NOW = Date.UTC(2026, 0, 1)
const DATE = `Date: ${new Date(NOW).toUTCString()}`

function stopClock(t: TestContext): void {
  mock.timers.enable({ apis: ['Date'], now: NOW })
  t.after(() => mock.timers.reset())
}

/** A gateway before an upstream that counts: the body of its answers is their number. */
async function counting(
  t: TestContext,
  fields: readonly string[] | ((request: RawRequest) => readonly string[]),
  settings: { allOptions?: boolean; status?: string } = {},
): Promise<{ client: Client; asked: () => number; at: (seconds: number) => Promise<boolean> }> {
  stopClock(t)
  const { upstream, client } = await startGateway(
    t,
    (socket, request, nth) => {
      const lines = typeof fields === 'function' ? fields(request) : fields
      socket.write(response(settings.status ?? '200 OK', lines, String(nth)))
    },
    settings,
  )
  return {
    client,
    asked: () => upstream.requests.length,
    /** Whether a request so long after the beginning is answered from the cache. */
    at: async (seconds) => {
      mock.timers.setTime(NOW + seconds * 1000)
      const before = upstream.requests.length
      await client.get('/')
      return upstream.requests.length === before
    },
  }
}

describe('A response is reused', () => {
  const in100 = `Expires: ${new Date(NOW + 100_000).toUTCString()}`
  const LIVES: [fields: string[], reused: number, notReused: number][] = [
    [['Cache-Control: max-age=100'], 99, 100],
    [['Cache-Control: s-maxage=100, max-age=10'], 99, 100],
    [['Cache-Control: s-maxage=10, max-age=100'], 9, 10],
    [['Cache-Control: max-age=100', 'Expires: 0'], 99, 100],
    [[DATE, in100], 99, 100],
    [[in100], 99, 100],
    [['Cache-Control: max-age=100', 'Age: 60'], 39, 40],
    [['Cache-Control: max-age=100', `Date: ${new Date(NOW - 60_000).toUTCString()}`], 39, 40],
    [['Cache-Control: public, max-age=100', 'Pragma: no-cache'], 99, 100],
  ]
  for (const [fields, reused, notReused] of LIVES) {
    it(`for less than ${notReused} s with ${fields.join(' and ')}`, async (t) => {
      const { at } = await counting(t, fields)
      assert.equal(await at(0), false)
      assert.equal(await at(reused), true)
      assert.equal(await at(notReused), false)
    })
  }

  const NEVER: string[][] = [
    [],
    [`Last-Modified: ${new Date(NOW - 1e9).toUTCString()}`],
    ['Cache-Control: no-store, max-age=100'],
    ['Cache-Control: private, max-age=100'],
    ['Cache-Control: no-cache, max-age=100'],
    ['Cache-Control: max-age=0'],
    ['Cache-Control: max-age=100', 'Age: 100'],
    ['Expires: 0'],
    [DATE, `Expires: ${new Date(NOW).toUTCString()}`],
    ['Cache-Control: max-age=100', 'Vary: *'],
    ['Cache-Control: max-age=100', 'Set-Cookie: a=1'],
    ['CDN-Cache-Control: max-age=100'],
  ]
  for (const fields of NEVER) {
    it(`never with ${fields.join(' and ') || 'nothing said'}`, async (t) => {
      const { at } = await counting(t, fields)
      assert.equal(await at(0), false)
      assert.equal(await at(0), false)
      assert.equal(await at(1), false)
    })
  }

  for (const status of ['201 Created', '302 Found', '404 Not Found', '410 Gone', '503 Busy']) {
    it(`with status ${status} when it states a lifetime, and not without`, async (t) => {
      const stated = await counting(t, ['Cache-Control: max-age=100'], { status })
      assert.deepEqual([await stated.at(0), await stated.at(1)], [false, true])
      mock.timers.reset()
      const silent = await counting(t, [], { status })
      assert.deepEqual([await silent.at(0), await silent.at(1)], [false, false])
    })
  }

  it('never with a part, whatever it states', async (t) => {
    const { at } = await counting(
      t,
      ['Cache-Control: max-age=100', 'Content-Range: bytes 0-0/10'],
      { status: '206 Partial Content' },
    )
    assert.deepEqual([await at(0), await at(1)], [false, false])
  })
})

describe('A hit', () => {
  it('has the fields of the upstream, its Date too, and the Age of the moment', async (t) => {
    const date = new Date(NOW - 5000).toUTCString()
    const { client } = await counting(t, [
      ...['Cache-Control: max-age=100', `Date: ${date}`, 'Age: 7', 'X-A: 1', 'Server: origin'],
      'Connection: X-B',
      'X-B: 2',
    ])
    const miss = await client.get('/')
    mock.timers.tick(3000)
    const hit = await client.get('/')
    assert.deepEqual(statusOf(hit), { hit: true, ttl: 90 })
    assert.equal(hit.headers['age'], '10')
    for (const name of ['date', 'x-a', 'server', 'cache-control', 'via']) {
      assert.equal(hit.headers[name], miss.headers[name], name)
    }
    assert.equal(hit.headers['date'], date)
    assert.equal(hit.headers['x-b'], undefined)
    assert.equal(hit.text, '1')
  })

  it('of HEAD is the head of what GET stored', async (t) => {
    const { client, asked } = await counting(t, ['Cache-Control: max-age=100', 'X-A: 1'])
    await client.get('/')
    const head = await client.head('/')
    assert.deepEqual(
      [head.text, head.headers['x-a'], head.headers['content-length']],
      ['', '1', '1'],
    )
    assert.equal(asked(), 1)
  })

  it('answers conditions, and the upstream is not asked', async (t) => {
    const { client, asked } = await counting(t, ['Cache-Control: max-age=100', 'ETag: "a"'])
    await client.get('/')
    assert.equal((await client.get('/', { 'if-none-match': 'W/"a"' })).status, 304)
    assert.equal((await client.get('/', { 'if-none-match': '"b"' })).status, 200)
    assert.equal(asked(), 1)
  })

  it('is of the variant that the request asks for', async (t) => {
    const { client, asked } = await counting(t, ({ fields }) => [
      'Cache-Control: max-age=100',
      'Vary: Accept-Language',
      `Content-Language: ${fields['accept-language'] ?? 'none'}`,
    ])
    for (const language of ['de', 'en', 'de', 'en']) {
      const { headers } = await client.get('/', { 'accept-language': language })
      assert.equal(headers['content-language'], language)
    }
    assert.equal(asked(), 2)
  })

  it('comes without the interim responses that came before what is stored', async (t) => {
    stopClock(t)
    const hints = 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n'
    const { upstream, client } = await startGateway(
      t,
      hints + response('200 OK', ['Cache-Control: max-age=100'], 'ok'),
    )
    assert.match(await speak(client, 'GET / HTTP/1.1'), /^HTTP\/1\.1 103 .*HTTP\/1\.1 200 /s)
    assert.match(await speak(client, 'GET / HTTP/1.1'), /^HTTP\/1\.1 200 .*\r\n\r\nok$/s)
    assert.equal(upstream.requests.length, 1)
  })
})

describe('Behind another cache', () => {
  const FIELDS = ['Cache-Control: max-age=100', 'Cache-Status: Up; hit']
  const WAYS: [what: string, method: string, headers: Record<string, string>, told: string][] = [
    ['a miss', 'GET', {}, 'Up; hit, fastify; fwd=uri-miss; stored'],
    ['a bypass', 'GET', { cookie: 'a=1' }, 'Up; hit, fastify; fwd=bypass; detail=cookie'],
    ['a miss of HEAD', 'HEAD', {}, 'Up; hit, fastify; fwd=uri-miss'],
  ]
  for (const [what, method, headers, told] of WAYS) {
    it(`${what} adds to what that one says, and a hit has its own word only`, async (t) => {
      const { client } = await counting(t, FIELDS)
      assert.equal((await client.send(method, '/', { headers })).headers['cache-status'], told)
      await client.get('/')
      assert.equal((await client.get('/')).headers['cache-status'], 'fastify; hit; ttl=100')
    })
  }
})

describe('A request with Authorization', () => {
  const AUTHORIZED = { authorization: 'Bearer 1' }

  it('goes around the cache, whatever the response allows', async (t) => {
    const { client, asked } = await counting(t, ['Cache-Control: public, max-age=100'])
    for (let times = 0; times < 2; times++) {
      assert.deepEqual(statusOf(await client.get('/', AUTHORIZED)), {
        fwd: 'bypass',
        detail: 'authorization',
      })
    }
    assert.equal(asked(), 2)
  })

  for (const directive of ['public', 's-maxage=50', 'must-revalidate']) {
    it(`fills the cache with all options when the response says ${directive}`, async (t) => {
      const fields = [`Cache-Control: max-age=100, ${directive}`]
      const { client, asked } = await counting(t, fields, { allOptions: true })
      await client.get('/', AUTHORIZED)
      await client.get('/')
      assert.equal(asked(), 1)
    })
  }

  it('does not fill it with all options when the response says nothing of that', async (t) => {
    const { client, asked } = await counting(t, ['Cache-Control: max-age=100'], {
      allOptions: true,
    })
    const { fwd, detail } = statusOf(await client.get('/', AUTHORIZED))
    assert.deepEqual([fwd, detail], ['uri-miss', 'authorization'])
    assert.equal((await client.get('/')).text, '2')
    assert.equal((await client.get('/')).text, '2')
    assert.equal(asked(), 2)
  })
})
