// Plugins that bring routes and methods of their own: files, uploads, sockets, errors.
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { gzipSync } from 'node:zlib'

import multipart from '@fastify/multipart'
import sensible from '@fastify/sensible'
import staticFiles from '@fastify/static'
import websocket from '@fastify/websocket'
import type { FastifyInstance, RouteHandlerMethod } from 'fastify'

import { type Answered, type Neighbour, ORDERS, type Visit, compare, course } from './course.ts'

function makeFiles(t: TestContext): string {
  const root = mkdtempSync(join(tmpdir(), 'response-cache-files-'))
  t.after(() => rmSync(root, { recursive: true }))
  const page = `<p>${'a page, '.repeat(200)}</p>`
  for (const [name, content] of [
    ['page.html', page],
    ['page.html.gz', gzipSync(page)],
    ['index.html', 'index'],
    ['empty.txt', ''],
  ] as const) {
    writeFileSync(join(root, name), content)
    utimesSync(join(root, name), 1_780_000_000, 1_780_000_000)
  }
  return root
}

const SINCE = { 'if-modified-since': 'Fri, 29 May 2037 10:00:00 GMT' }

/** How browsers and downloaders ask for a file. */
function fileVisits(path: string): Visit[] {
  return [
    ...course(path),
    ...course(path, { 'accept-encoding': 'gzip' }),
    { path, fields: SINCE },
    { method: 'HEAD', path, fields: SINCE },
    { path, fields: { range: 'bytes=0-9' } },
    { path, fields: { range: 'bytes=-5' } },
    { path, fields: { range: 'bytes=90000-' } },
    { path, fields: { range: 'bytes=0-1, 4-5' } },
    { path, fields: { range: 'bytes=0-9', 'if-range': '"of nobody"' } },
    { method: 'HEAD', path, fields: { range: 'bytes=0-9' } },
    { path },
    { path, fields: { 'if-match': '"of nobody"' } },
    { path, fields: { 'if-unmodified-since': 'Sat, 01 Jan 2000 10:00:00 GMT' } },
    { path },
  ]
}

for (const order of ORDERS) {
  for (const [preCompressed, ranges] of [
    [false, false],
    [false, true],
    [true, true],
  ] as const) {
    const kind = `${preCompressed ? 'encoded beforehand' : 'as they are'}, ${ranges ? 'in parts' : 'whole'},`
    test(`files of @fastify/static ${order}, ${kind} are served as without the cache`, async (t) => {
      const root = makeFiles(t)
      const files: Neighbour = {
        name: '@fastify/static',
        register: (app) => app.register(staticFiles, { root, prefix: '/files/', preCompressed }),
        declare: (app) => {
          app.get('/sent/:name', { config: { cache: true } }, (request, reply) =>
            reply.sendFile((request.params as { name: string }).name),
          )
          app.get('/loaded', { config: { cache: true } }, (_request, reply) =>
            reply.download('page.html', 'a page.html'),
          )
        },
        visits: () => [
          ...['/sent/page.html', '/sent/empty.txt', '/sent/none', '/loaded'].flatMap(fileVisits),
          ...['/sent/page.html%00', '/sent/..%2fpage.html', '/sent/.'].flatMap((path) =>
            course(path),
          ),
          // Routes of the plugin itself, which a global cache takes in.
          ...['/files/page.html', '/files/', '/files', '/files/none', '/files//page.html'].flatMap(
            fileVisits,
          ),
        ],
        cache: { global: true, defaults: { ttl: '1h', ranges } },
      }
      const answered = await compare(t, files, order)
      const statuses = new Set(answered.map(({ expected }) => expected.status))
      for (const status of [200, 206, 304, 404, 412, 416])
        assert.ok(statuses.has(status), String(status))
      assertOnlyWhole(answered)
    })
  }
}

/** A part, a 304 or an error is for who asked for it. */
function assertOnlyWhole(answered: Answered[]): void {
  for (const { told, answer } of answered) {
    if (told?.stored === true) assert.equal(answer.status, 200)
  }
}

function form(fields: Record<string, string>): { fields: Record<string, string>; body: string } {
  const parts = Object.entries(fields).map(
    ([name, value]) =>
      `--x-boundary\r\ncontent-disposition: form-data; name="${name}"; filename="${name}.txt"\r\n` +
      `content-type: text/plain\r\n\r\n${value}\r\n`,
  )
  return upload(`${parts.join('')}--x-boundary--\r\n`)
}

function upload(body: string): { fields: Record<string, string>; body: string } {
  return {
    fields: {
      'content-type': 'multipart/form-data; boundary=x-boundary',
      'content-length': String(body.length),
    },
    body,
  }
}

const MODES = [{}, { attachFieldsToBody: true }, { attachFieldsToBody: 'keyValues' }] as const

function declareUploads(app: FastifyInstance): void {
  const uploads = new Map<string, string>()
  app.get('/files', { config: { cache: { tags: ['files'] } } }, async () =>
    Object.fromEntries(uploads),
  )
  const config = { cache: { invalidates: ['files'] } }
  app.post('/files', { config }, async (request, reply) => {
    if (request.body !== undefined && request.body !== null) {
      for (const [name, value] of Object.entries(request.body)) {
        const content = value as Buffer | { toBuffer: () => Promise<Buffer> }
        uploads.set(name, String('toBuffer' in content ? await content.toBuffer() : content))
      }
    } else {
      for await (const part of request.files()) {
        uploads.set(part.fieldname, (await part.toBuffer()).toString())
      }
    }
    return reply.code(201).send({ uploads: uploads.size })
  })
}

for (const mode of MODES) {
  for (const order of ORDERS) {
    test(`uploads of @fastify/multipart ${order}, ${JSON.stringify(mode)}, forget the list they change`, async (t) => {
      const post = { method: 'POST', path: '/files' }
      const get = { path: '/files' }
      const answered = await compare(
        t,
        {
          name: '@fastify/multipart',
          register: (app) => app.register(multipart, { ...mode, limits: { fileSize: 1000 } }),
          declare: declareUploads,
          visits: () => [
            ...course('/files'),
            { ...post, ...form({ a: 'first' }) },
            ...[get, get],
            { ...post, ...form({ b: 'second', c: 'third' }) },
            ...course('/files'),
            // Too long, cut off, and of no known type: nothing changes, and nothing is forgotten.
            { ...post, ...form({ d: 'x'.repeat(2000) }) },
            { ...post, ...upload('--x-boundary\r\nnonsense') },
            { ...post, fields: { 'content-type': 'multipart/unknown' }, body: 'x' },
            get,
            // A form in GET is a body like any other.
            { ...get, ...form({ e: 'fifth' }) },
            get,
          ],
        },
        order,
      )
      const lists = answered.filter(
        ({ visit }) => visit.path === '/files' && visit.method !== 'POST',
      )
      assert.deepEqual(
        lists.slice(-3).map(({ told }) => [told?.hit, told?.detail]),
        [
          [true, undefined],
          [undefined, 'request-body'],
          [true, undefined],
        ],
      )
      assert.ok(lists.filter(({ told }) => told?.fwd === 'stale').length >= 2)
    })
  }
}

for (const order of ORDERS) {
  test(`errors and fields of @fastify/sensible ${order} are those of the plain application`, async (t) => {
    const paths: Record<string, boolean> = {
      '/page': true,
      '/aged': true,
      '/static': true,
      '/revalidated': true,
      '/stale': true,
      '/varied': true,
      '/prevented': false,
      '/private': false,
      '/missing': false,
      '/thrown': false,
      '/asserted': false,
      '/teapot': false,
    }
    const answered = await compare(
      t,
      {
        name: '@fastify/sensible',
        register: (app) => app.register(sensible),
        declare: (app) => {
          const config = { cache: true } as const
          const cached = (path: string, handler: RouteHandlerMethod): void => {
            app.get(path, { config: { ...config } }, handler)
          }
          cached('/page', async (request) => ({
            json: request.is('json'),
            by: request.forwarded(),
          }))
          cached('/aged', async (_request, reply) => reply.maxAge(60).send('aged'))
          cached('/static', async (_request, reply) => reply.staticCache('1 day').send('static'))
          cached('/revalidated', async (_request, reply) => reply.revalidate().send('now'))
          cached('/stale', async (_request, reply) =>
            reply.maxAge(60).stale('while-revalidate', 5).send('stale'),
          )
          cached('/varied', async ({ headers }, reply) => {
            reply.vary('accept-language')
            return `in ${headers['accept-language']}`
          })
          cached('/prevented', async (_request, reply) => reply.preventCache().send('prevented'))
          cached('/private', async (_request, reply) =>
            reply.cacheControl('private').send('private'),
          )
          cached('/missing', (_request, reply) => void reply.notFound('not here'))
          cached('/thrown', async () => {
            throw app.httpErrors.gone('no more')
          })
          cached('/asserted', async () => app.assert(false, 402, 'pay first'))
          cached('/teapot', (_request, reply) => void reply.getHttpError(418, 'tea'))
        },
        visits: () => [
          ...Object.keys(paths).flatMap((path) => course(path)),
          ...['de', 'en', 'de'].flatMap((language) =>
            course('/varied', { 'accept-language': language }),
          ),
        ],
      },
      order,
      true,
    )
    for (const [path, isKept] of Object.entries(paths)) {
      const hits = answered.filter(({ visit, told }) => visit.path === path && told?.hit === true)
      assert.equal(hits.length > 0, isKept, path)
    }
  })
}

for (const order of ORDERS) {
  test(`routes of @fastify/websocket ${order} answer what is no handshake as without the cache`, async (t) => {
    const answered = await compare(
      t,
      {
        name: '@fastify/websocket',
        register: (app) => app.register(websocket),
        declare: (app) => {
          app.get('/socket', { websocket: true }, (socket) => socket.close())
          app.route({
            method: 'GET',
            url: '/both',
            handler: async () => 'page',
            wsHandler: (socket) => socket.close(),
          })
          app.get('/page', async () => 'page')
        },
        visits: () => [
          ...['/socket', '/both', '/page'].flatMap((path) => course(path)),
          // Without the fields of a handshake: refused by the plugin, not answered from the cache.
          { path: '/socket', fields: { 'sec-websocket-version': '13' } },
          ...['/both', '/page'].flatMap((path) => course(path)),
        ],
        cache: { global: true },
      },
      order,
    )
    const of = (path: string): Answered[] => answered.filter(({ visit }) => visit.path === path)
    assert.ok(of('/socket').every(({ told }) => told === undefined))
    for (const path of ['/both', '/page'])
      assert.ok(of(path).some(({ told }) => told?.hit === true))
  })
}
