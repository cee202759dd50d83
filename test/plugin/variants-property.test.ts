// Whatever fields a handler looks at, and names in Vary: every answer is the one that it would have
// given to this very request.
import assert from 'node:assert/strict'
import { Agent } from 'node:http'

import fc from 'fast-check'

import { type Client, start } from '../support/app.ts'
import { testInAllTiers, useRedis } from './tiers.ts'

useRedis()

const NAMES = ['x-a', 'x-b', 'x-c', 'x-d'] as const
type Fields = Partial<Record<(typeof NAMES)[number], string>>

/** Reads one field; what it finds there says which is next, as an application's branches do. */
function walk(seed: number, read: (name: string) => string | undefined): string {
  let state = seed
  const seen: string[] = []
  for (let step = 0; step < 4; step++) {
    const name = NAMES[state % NAMES.length]!
    const value = read(name)
    seen.push(`${name}=${value === undefined ? 'none' : JSON.stringify(value)}`)
    state = (state * 31 + (value === undefined ? 7 : value.length * 13 + 1)) % 1009
    if (state % 3 === 0) break
  }
  return seen.join(' ')
}

const value = fc.constantFrom(undefined, '', '1', '22', '1,22')
const fields: fc.Arbitrary<Fields> = fc.tuple(value, value, value, value).map((values) => {
  const sent: Fields = {}
  for (const [at, each] of values.entries()) if (each !== undefined) sent[NAMES[at]!] = each
  return sent
})
/** What is asked at once, and then the next. */
const batches = fc.array(fc.array(fields, { minLength: 1, maxLength: 8 }), { maxLength: 8 })

testInAllTiers('every answer is one that the handler gives to such a request', async (t, cache) => {
  let runs = 0
  let asked = 0
  const client: Client = await start(
    t,
    (app) => {
      app.get<{ Params: { seed: string } }>(
        '/page/:seed/:round',
        { config: { cache: { ttl: '1h' } } },
        async (request, reply) => {
          runs++
          const names: string[] = []
          const text = walk(Number(request.params.seed), (name) => {
            names.push(name)
            return request.headers[name] as string | undefined
          })
          return reply.header('vary', names.join(', ')).send(text)
        },
      )
    },
    { cache },
  )
  const agent = new Agent({ keepAlive: true, maxSockets: 16 })
  t.after(() => agent.destroy())
  let round = 0
  await fc.assert(
    fc.asyncProperty(fc.nat(1000), batches, async (seed, sequence) => {
      const path = `/page/${seed}/${round++}`
      for (const batch of sequence) {
        const answers = await Promise.all(
          batch.map((headers) => client.send('GET', path, { headers: { ...headers }, agent })),
        )
        for (const [at, { text }] of answers.entries()) {
          asked++
          const sent = batch[at]!
          assert.equal(
            text,
            walk(seed, (name) => sent[name as keyof Fields]),
          )
        }
      }
    }),
    { numRuns: 60 },
  )
  // Or nothing was ever shared, and nothing shown.
  assert.ok(runs < asked, `${runs} runs for ${asked} requests`)
})
