import { setTimeout as sleep } from 'node:timers/promises'

import { type Check, NOTHING, keeps, keepsResponses } from '../check.ts'
import { BYTES } from '../pages.ts'
import { SETTLED_MS, type Stage } from '../stage.ts'

/** Is a response like this answered again without its handler? */
function kept(path: string): Check['run'] {
  return async (stage: Stage) => {
    const site = await stage.site()
    await site.fill(path)
    await site.get(path)
    return stage.truth.runs(path) === 1 ? 'kept' : 'not kept'
  }
}

export const RESPONSES: readonly Check[] = [
  {
    title: 'The same request again',
    means: () => true,
    run: async (stage) => {
      const site = await stage.site()
      await site.fill('/item/1')
      await site.get('/item/1')
      return stage.truth.runs('/item/1') === 1 ? 'without the handler' : 'runs the handler'
    },
  },
  {
    title: 'Cache-Control: private, no-store of the handler',
    means: keepsResponses,
    run: kept('/private'),
  },
  { title: 'A 500', means: keepsResponses, run: kept('/failing') },
  {
    title: 'The same PUT twice',
    run: async (stage) => {
      const site = await stage.site()
      await site.put('/item/1')
      await sleep(SETTLED_MS)
      await site.put('/item/1')
      return stage.truth.runs('PUT /item/1') === 2 ? 'two runs' : 'one run'
    },
  },
  {
    title: 'Status 203, Content-Type and a field of its own, the second time',
    means: keepsResponses,
    run: async (stage) => {
      const site = await stage.site()
      const first = await site.fill('/fields')
      const second = await site.get('/fields')
      if (stage.truth.runs('/fields') === 2) return 'not kept'
      const lost = ['content-type', 'x-total'].filter(
        (name) => first.headers[name] !== second.headers[name],
      )
      if (first.status !== second.status) lost.unshift('status')
      return lost.length === 0 ? 'as the first' : `without ${lost.join(', ')}`
    },
  },
  {
    title: 'The body of a stream, the second time',
    means: keepsResponses,
    run: async (stage) => {
      const site = await stage.site()
      const first = (await site.fill('/stream')).body.toString()
      const second = await site.text('/stream')
      const word = stage.truth.runs('/stream') === 1 ? '' : '; runs the handler'
      if (second === '') return `empty${word}`
      return (second === first ? 'as the first' : 'another') + word
    },
  },
  {
    title: 'The bytes of a Buffer, by way of Redis where there is one',
    means: keeps,
    run: async (stage) => {
      const site = await stage.site()
      // Without what tells it of other processes: that would bring the value by another way.
      const other = stage.peer.shared ? await stage.site() : site
      await site.fill('/buffer')
      const { body } = await other.get('/buffer')
      if (stage.truth.runs('/buffer') === 2) return 'not kept'
      if (body.equals(BYTES)) return 'the same'
      return body.toString().startsWith('{') ? 'a JSON object' : 'others'
    },
  },
  {
    title: 'If-None-Match with the ETag of another URL',
    means: (peer) => peer.keeps === 'responses',
    run: async (stage) => {
      const site = await stage.site()
      const { headers } = await site.get('/item/1')
      const { etag } = headers
      if (etag === undefined) return NOTHING
      await site.fill('/host')
      const other = await site.get('/host', { 'if-none-match': etag })
      const guarded = await site.get('/guarded', { 'if-none-match': etag })
      return `${other.status}; where a guard says 401: ${guarded.status}`
    },
  },
  {
    title: 'Fields by which a hit says that it is one',
    means: keepsResponses,
    run: async (stage) => {
      const plain = await stage.site({}, 'none')
      const site = await stage.site()
      const known = new Set(Object.keys((await plain.get('/item/1')).headers))
      await site.fill('/item/1')
      const { headers } = await site.get('/item/1')
      const names = Object.keys(headers).filter((name) => !known.has(name))
      // Says nothing about where it came from.
      const own = names.filter((name) => !['cache-control', 'etag'].includes(name))
      return own.length === 0 ? 'none' : own.join(', ')
    },
  },
]
