// A write through the gateway: what the upstream answers decides what is forgotten (RFC 9111 §4.4).
import assert from 'node:assert/strict'
import { type TestContext, describe, it } from 'node:test'

import { METHODS } from 'node:http'

import { isSafeMethod } from '../../src/http/cache-groups.ts'
import { response } from '../support/raw-upstream.ts'
import { startGateway } from './gateway.ts'

/** Fills some pages, writes to `/page`, and tells which of them were asked for again. */
async function forgotten(
  t: TestContext,
  written: string,
  { method = 'POST', body = 'new', groups = '' } = {},
): Promise<string[]> {
  const { upstream, client } = await startGateway(t, (socket, request) =>
    socket.write(
      request.method === 'GET'
        ? response('200 OK', ['Cache-Control: max-age=100', `Cache-Groups: ${groups}`], 'page')
        : written,
    ),
  )
  const pages = ['/page', '/page?a=1', '/other', '/third']
  for (const page of pages) await client.get(page)
  await client.send(method, '/page', { body })
  const before = upstream.requests.length
  for (const page of pages) await client.get(page)
  return upstream.requests.slice(before).map(({ target }) => target)
}

const OWN = ['/page', '/page?a=1']

describe('A write through the gateway', () => {
  // Regression: the target had no scheme once the body had been read, and no reference was of its origin.
  for (const name of ['Location', 'Content-Location']) {
    for (const body of ['new', '']) {
      it(`with ${name} and ${body === '' ? 'no body' : 'a body'} makes the cache forget both`, async (t) => {
        const answer = response('201 Created', [`${name}: /other`], 'done')
        assert.deepEqual(await forgotten(t, answer, { body }), [...OWN, '/other'])
      })
    }
  }

  it('that names another origin makes the cache forget its own target only', async (t) => {
    const answer = response('201 Created', ['Location: http://elsewhere.example/other'])
    assert.deepEqual(await forgotten(t, answer), OWN)
  })

  for (const status of ['400 Bad Request', '500 Internal Server Error']) {
    it(`that is answered with ${status} makes the cache forget nothing`, async (t) => {
      assert.deepEqual(await forgotten(t, response(status, ['Location: /other'])), [])
    })
  }

  it('that the upstream does not survive makes the cache forget nothing', async (t) => {
    assert.deepEqual(await forgotten(t, 'nonsense\r\n\r\n'), [])
  })

  it('that names groups makes the cache forget what is in them', async (t) => {
    const answer = response('200 OK', ['Cache-Group-Invalidation: "all"'])
    assert.deepEqual(await forgotten(t, answer, { groups: '"all"' }), [...OWN, '/other', '/third'])
  })

  for (const method of METHODS.filter((name) => name !== 'CONNECT' && name !== 'HEAD')) {
    const safe = isSafeMethod(method)
    it(`${method} makes the cache forget ${safe ? 'nothing' : 'its target'}`, async (t) => {
      const found = await forgotten(t, response('200 OK', [], 'done'), { method, body: '' })
      assert.deepEqual(found, safe ? [] : OWN)
    })
  }
})
