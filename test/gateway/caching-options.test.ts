// What a gateway does with all options on, and when the upstream is asked to confirm or is away.
import assert from 'node:assert/strict'
import { type TestContext, describe, it, mock } from 'node:test'

import Fastify, { type FastifyReply } from 'fastify'

import responseCache, { type RouteCacheOptions } from '../../src/index.ts'
import { type Client, listen } from '../support/app.ts'
import { type RawAnswer, type RawUpstream, response } from '../support/raw-upstream.ts'
import { statusOf } from '../support/assert-status.ts'
import { startGateway } from './gateway.ts'

const NOW = Date.UTC(2026, 0, 1)

async function full(
  t: TestContext,
  answer: RawAnswer | string,
): Promise<{ upstream: RawUpstream; client: Client }> {
  mock.timers.enable({ apis: ['Date'], now: NOW })
  t.after(() => mock.timers.reset())
  return startGateway(t, answer, { allOptions: true })
}

const later = (seconds: number): void => mock.timers.tick(seconds * 1000)

describe('With all options', () => {
  const TARGETED: [fields: string[], reused: boolean][] = [
    [['CDN-Cache-Control: max-age=100', 'Cache-Control: no-store'], true],
    [['CDN-Cache-Control: no-store', 'Cache-Control: max-age=100'], false],
    [['CDN-Cache-Control: max-age=0', 'Cache-Control: max-age=100'], false],
    [['CDN-Cache-Control: &nonsense', 'Cache-Control: max-age=100'], true],
    [['CDN-Cache-Control: max-age="100"', 'Cache-Control: max-age=100'], false],
    [['CDN-Cache-Control:', 'Cache-Control: max-age=100'], true],
  ]
  for (const [fields, reused] of TARGETED) {
    it(`${fields.join(' beside ')} is ${reused ? '' : 'not '}reused`, async (t) => {
      const { upstream, client } = await full(t, response('200 OK', fields, 'body'))
      await client.get('/')
      const second = await client.get('/')
      assert.equal(second.text, 'body')
      assert.equal(upstream.requests.length, reused ? 1 : 2)
      assert.equal(second.headers['cdn-cache-control'], fields[0]!.split(': ')[1] ?? '')
    })
  }

  it('a response that states no lifetime lives for a tenth of the time since its change', async (t) => {
    const modified = `Last-Modified: ${new Date(NOW - 1000_000).toUTCString()}`
    const date = `Date: ${new Date(NOW).toUTCString()}`
    const { upstream, client } = await full(t, response('200 OK', [modified, date], 'body'))
    await client.get('/')
    later(99)
    await client.get('/')
    assert.equal(upstream.requests.length, 1)
    later(2)
    await client.get('/')
    assert.equal(upstream.requests.length, 2)
    assert.ok(upstream.requests[1]!.fields['if-modified-since'])
  })

  it('cookies of the upstream are stored when a lifetime is stated, and sent to everybody', async (t) => {
    const fields = ['Cache-Control: max-age=100', 'Set-Cookie: a=1', 'Set-Cookie: b=2']
    const { upstream, client } = await full(t, response('200 OK', fields, 'body'))
    for (let times = 0; times < 2; times++) {
      assert.deepEqual((await client.get('/')).headers['set-cookie'], ['a=1', 'b=2'])
    }
    assert.equal(upstream.requests.length, 1)
  })

  it('ranges are cut out of what is stored, and go to the upstream when nothing is', async (t) => {
    const { upstream, client } = await full(t, (socket, { fields }) =>
      fields['range'] === undefined
        ? socket.write(
            response('200 OK', ['Cache-Control: max-age=100', 'ETag: "a"'], '0123456789'),
          )
        : socket.write(
            response(
              '206 Partial Content',
              ['Cache-Control: max-age=100', 'Content-Range: bytes 8-9/10'],
              '89',
            ),
          ),
    )
    assert.equal((await client.get('/', { range: 'bytes=8-9' })).status, 206)
    assert.equal((await client.get('/')).text, '0123456789')
    const part = await client.get('/', { range: 'bytes=-3' })
    assert.deepEqual([part.status, part.text], [206, '789'])
    assert.equal(part.headers['content-range'], 'bytes 7-9/10')
    assert.equal(upstream.requests.length, 2)
  })

  it('the directives of a request count', async (t) => {
    const { upstream, client } = await full(
      t,
      response('200 OK', ['Cache-Control: max-age=100'], 'body'),
    )
    const ask = (cacheControl: string) => client.get('/', { 'cache-control': cacheControl })
    const missing = await ask('only-if-cached')
    assert.equal(missing.status, 504)
    assert.equal(statusOf(missing).detail, 'only-if-cached')
    await client.get('/')
    assert.equal((await ask('only-if-cached')).text, 'body')
    assert.equal(upstream.requests.length, 1)
    await ask('no-cache')
    assert.equal(upstream.requests.length, 2)
    later(110)
    await ask('max-stale=20')
    assert.equal(upstream.requests.length, 2)
    await ask('max-stale=5')
    assert.equal(upstream.requests.length, 3)
  })
})

describe('A stored response with a validator', () => {
  /** Answers 304 to the validator, and 200 with the number of the request else. */
  const validating =
    (lines: string[], confirmed: string[] = []): RawAnswer =>
    (socket, { fields }, nth) =>
      fields['if-none-match'] === '"a"'
        ? socket.write(['HTTP/1.1 304 Not Modified', ...confirmed, '', ''].join('\r\n'))
        : socket.write(response('200 OK', [...lines, 'ETag: "a"'], String(nth)))

  for (const allOptions of [false, true]) {
    const options = allOptions ? 'all options' : 'default options'
    it(`and no-cache is confirmed by the upstream before each use, with ${options}`, async (t) => {
      const { upstream, client } = await startGateway(t, validating(['Cache-Control: no-cache']), {
        allOptions,
      })
      for (let nth = 1; nth < 4; nth++) {
        const { status, text, headers } = await client.get('/')
        assert.deepEqual([status, text, headers['etag']], [200, '1', '"a"'])
        assert.equal(upstream.requests.length, nth)
      }
      assert.equal(upstream.requests[2]!.fields['if-none-match'], '"a"')
    })
  }

  it('lives again for as long as the 304 says, with the fields of the 304', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: NOW })
    t.after(() => mock.timers.reset())
    const { upstream, client } = await startGateway(
      t,
      validating(
        ['Cache-Control: max-age=10', 'X-A: old', 'X-B: kept'],
        ['Cache-Control: max-age=50', 'X-A: new'],
      ),
    )
    await client.get('/')
    later(20)
    const confirmed = await client.get('/')
    assert.match(String(confirmed.headers['cache-status']), /fwd=stale; fwd-status=304; stored/)
    later(40)
    const hit = await client.get('/')
    for (const { text, headers } of [confirmed, hit]) {
      assert.deepEqual([text, headers['x-a'], headers['x-b']], ['1', 'new', 'kept'])
    }
    assert.equal(upstream.requests.length, 2)
  })

  it('is confirmed by the upstream, and 304 is the answer to a client that has it', async (t) => {
    const { upstream, client } = await startGateway(t, validating(['Cache-Control: no-cache']))
    await client.get('/')
    const { status, text } = await client.get('/', { 'if-none-match': '"x", "a"' })
    assert.deepEqual([status, text], [304, ''])
    assert.equal(upstream.requests[1]!.fields['if-none-match'], '"a"')
  })

  it('gives way to what the upstream answers in place of 304', async (t) => {
    const { client } = await startGateway(t, (socket, _request, nth) =>
      socket.write(response('200 OK', ['Cache-Control: no-cache', `ETag: "${nth}"`], `${nth}`)),
    )
    for (const expected of ['1', '2', '3']) assert.equal((await client.get('/')).text, expected)
  })
})

describe('When the upstream is away', () => {
  const once =
    (fields: string[]): RawAnswer =>
    (socket, _request, nth) =>
      nth === 1 ? socket.write(response('200 OK', fields, 'stored')) : socket.destroy()

  it('a stale response stands in for it where staleIfError says so', async (t) => {
    const { client } = await full(t, once(['Cache-Control: max-age=10']))
    await client.get('/')
    later(20)
    const { status, text, headers } = await client.get('/')
    assert.deepEqual([status, text, headers['age']], [200, 'stored', '20'])
    assert.match(String(headers['cache-status']), /fwd=stale; .*detail=stale-if-error/)
    later(3600)
    assert.equal((await client.get('/')).status, 502, 'the window is over')
  })

  it('a response that says stale-if-error itself stands in by default', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: NOW })
    t.after(() => mock.timers.reset())
    const { client } = await startGateway(t, once(['Cache-Control: max-age=10, stale-if-error=60']))
    await client.get('/')
    later(20)
    assert.equal((await client.get('/')).text, 'stored')
    later(60)
    assert.equal((await client.get('/')).status, 502)
  })

  for (const directive of ['must-revalidate', 'proxy-revalidate', 'no-cache', 's-maxage=10']) {
    it(`nothing stands in for it with ${directive}`, async (t) => {
      const { client } = await full(
        t,
        once([`Cache-Control: max-age=10, ${directive}`, 'ETag: "a"']),
      )
      await client.get('/')
      later(20)
      const { status, text } = await client.get('/')
      assert.equal(status, 502)
      assert.doesNotMatch(text, /stored/)
    })
  }

  it('nothing stands in for it by default', async (t) => {
    mock.timers.enable({ apis: ['Date'], now: NOW })
    t.after(() => mock.timers.reset())
    const { client } = await startGateway(t, once(['Cache-Control: max-age=10']))
    await client.get('/')
    later(20)
    assert.equal((await client.get('/')).status, 502)
  })

  it('within a body, the part that came is not kept', async (t) => {
    const { client } = await full(t, (socket, _request, nth) => {
      if (nth > 1) return socket.write(response('200 OK', ['Cache-Control: max-age=10'], 'whole'))
      socket.write('HTTP/1.1 200 OK\r\nCache-Control: max-age=10\r\nContent-Length: 10\r\n\r\nhalf')
      return setTimeout(() => socket.destroy(), 20)
    })
    await assert.rejects(client.get('/'))
    assert.equal((await client.get('/')).text, 'whole')
    assert.ok(statusOf(await client.get('/')).hit)
  })
})

describe("With ttl: 'headers' before a handler of one's own", () => {
  async function route(
    t: TestContext,
    cache: RouteCacheOptions,
    answer: (reply: FastifyReply) => unknown,
    hook?: (reply: FastifyReply) => void,
  ): Promise<{ client: Client; runs: () => number }> {
    const app = Fastify()
    await app.register(responseCache)
    let runs = 0
    if (hook) app.addHook('onSend', async (_request, reply) => hook(reply))
    app.get('/', { config: { cache: { ttl: 'headers', ...cache } } }, (_request, reply) => {
      runs++
      return answer(reply.header('cache-control', 'max-age=100'))
    })
    return { client: await listen(t, app), runs: () => runs }
  }

  it("setCookie: 'store' stores the handler's cookies and nobody else's", async (t) => {
    const cookies = (reply: FastifyReply): unknown => reply.header('set-cookie', 'a=1').send('page')
    const own = await route(t, { setCookie: 'store' }, cookies)
    await own.client.get('/')
    assert.deepEqual((await own.client.get('/')).headers['set-cookie'], ['a=1'])
    assert.equal(own.runs(), 1)

    let nth = 0
    const withHook = await route(t, { setCookie: 'store' }, cookies, (reply) => {
      reply.header('set-cookie', `session=${++nth}`)
    })
    for (let times = 1; times < 3; times++) {
      const answer = await withHook.client.get('/')
      assert.deepEqual(answer.headers['set-cookie'], ['a=1', `session=${times}`])
      assert.equal(statusOf(answer).detail, 'set-cookie')
    }
    assert.equal(withHook.runs(), 2)
  })

  it('cookies are refused unless the route says otherwise', async (t) => {
    const { client, runs } = await route(t, {}, (reply) =>
      reply.header('set-cookie', 'a=1').send('page'),
    )
    for (let times = 0; times < 2; times++) {
      assert.equal(statusOf(await client.get('/')).detail, 'set-cookie')
    }
    assert.equal(runs(), 2)
  })

  it('a list of fields in private or no-cache is left out of what is stored', async (t) => {
    const { client, runs } = await route(t, {}, (reply) =>
      reply
        .header('cache-control', 'max-age=100, no-cache="x-a", private="x-b"')
        .headers({ 'x-a': '1', 'x-b': '2', 'x-c': '3' })
        .send('page'),
    )
    await client.get('/')
    const { headers } = await client.get('/')
    assert.deepEqual([headers['x-a'], headers['x-b'], headers['x-c']], [undefined, undefined, '3'])
    assert.equal(runs(), 1)
  })
})
