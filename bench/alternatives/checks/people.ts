import { type Check, keepsResponses } from '../check.ts'
import type { Stage } from '../stage.ts'

/** Two clients, one URL: does the second get what was made for the first? */
function perRequest(path: string, ...fields: Record<string, string>[]): Check['run'] {
  return async (stage: Stage) => {
    const site = await stage.site()
    const [first, second] = fields
    const mine = (await site.fill(path, first)).body.toString()
    const theirs = (await site.fill(path, second)).body.toString()
    if (theirs === mine) return "the first one's"
    // Whether it was kept at all says what the answer is worth.
    await site.text(path, second)
    return stage.truth.runs(path) > 2 ? 'its own; not kept' : 'its own'
  }
}

export const PEOPLE: readonly Check[] = [
  {
    title: 'Another Authorization, the same URL',
    brief: true,
    means: keepsResponses,
    run: perRequest('/me', { authorization: 'Bearer alice' }, { authorization: 'Bearer bob' }),
  },
  {
    title: 'Another session cookie, the same URL',
    means: keepsResponses,
    run: perRequest('/me', { cookie: 'sid=alice' }, { cookie: 'sid=bob' }),
  },
  {
    title: 'A guard in preHandler: a request without its pass',
    brief: true,
    means: keepsResponses,
    run: async (stage) => {
      const site = await stage.site()
      const pass = { 'x-pass': 'let-me-in' }
      await site.fill('/guarded', pass)
      await site.get('/guarded', pass)
      const kept = stage.truth.runs('/guarded') === 1 ? '' : '; not kept'
      const { status } = await site.get('/guarded')
      return (status === 200 ? 'gets the page' : String(status)) + kept
    },
  },
  {
    title: 'The same path at another Host',
    means: keepsResponses,
    run: perRequest('/host', { host: 'a.example' }, { host: 'b.example' }),
  },
  {
    title: 'Vary: Accept-Language, another language',
    means: keepsResponses,
    run: perRequest('/language', { 'accept-language': 'de' }, { 'accept-language': 'fr' }),
  },
  {
    title: 'Set-Cookie of the handler, to the second client',
    means: keepsResponses,
    run: async (stage) => {
      const site = await stage.site()
      const [first] = (await site.fill('/set-cookie')).headers['set-cookie'] ?? []
      const [second] = (await site.get('/set-cookie')).headers['set-cookie'] ?? []
      if (stage.truth.runs('/set-cookie') === 2) return 'not kept'
      return second === first ? 'sent again' : 'left out'
    },
  },
]
