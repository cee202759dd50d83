// Promise 1: what runs before the handler on a miss runs before a hit. The cached route is public,
// so nothing but the gate stands between a stranger and the stored response.
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'

import Fastify, { type FastifyInstance } from 'fastify'

import responseCache from '../../src/index.ts'
import { assertHit } from '../support/assert-status.ts'
import { type Answer, type Client, listen } from '../support/app.ts'
import { type Gate, HOOKS, type HookName, addGuard, gates } from './gates.ts'

const SCOPES = [
  'all in the root scope',
  'gate and route in a child scope',
  'cache and route in a child scope',
] as const
const ORDERS = ['gate before cache', 'cache before gate', 'cache and route before gate'] as const

interface Arrangement {
  hook: HookName
  level: 'route' | 'instance'
  scope: (typeof SCOPES)[number]
  order: (typeof ORDERS)[number]
}

/** How often the guarded handler ran. */
interface Runs {
  count: number
}

function declareRoute(
  app: FastifyInstance,
  gate: Gate,
  { hook, level }: Arrangement,
  runs: Runs,
): void {
  const guard = level === 'route' ? { [hook]: gate.guard(app) } : {}
  app.get('/secret', { config: { cache: { ttl: '1h', public: true } }, ...guard }, async () => {
    runs.count++
    return { secret: 'for those who were let in' }
  })
}

async function build(
  gate: Gate,
  arrangement: Arrangement,
  withCache: boolean,
): Promise<[FastifyInstance, Runs]> {
  const app = Fastify()
  const runs = { count: 0 }
  const { scope, order, level, hook } = arrangement
  const cache = async (at: FastifyInstance): Promise<void> => {
    if (withCache) await at.register(responseCache)
  }
  const addGate = async (at: FastifyInstance): Promise<void> => {
    await gate.register(at)
    if (level === 'instance') {
      const guard = gate.guard(at)
      addGuard(at, hook, async (request, reply) => {
        if (request.routeOptions.url === '/secret') await guard(request, reply)
      })
    }
  }
  const route = async (at: FastifyInstance): Promise<void> => {
    declareRoute(at, gate, arrangement, runs)
  }
  const steps = {
    'gate before cache': [addGate, cache, route],
    'cache before gate': [cache, addGate, route],
    'cache and route before gate': [cache, route, addGate],
  }[order]
  const inChild = {
    'all in the root scope': [],
    'gate and route in a child scope': [addGate, route],
    'cache and route in a child scope': [cache, route],
  }[scope] as unknown[]
  for (const step of steps) if (!inChild.includes(step)) await step(app)
  if (inChild.length > 0) {
    await app.register(async (child) => {
      for (const step of steps) if (inChild.includes(step)) await step(child)
    })
  }
  return [app, runs]
}

function essence({ status, text, headers }: Answer): unknown {
  return [status, text, headers['content-type'], headers['www-authenticate']]
}

/** Strangers first, on a cold cache; then Ann, who fills it; then both again, on the warm one. */
async function visit(client: Client, gate: Gate): Promise<Answer[]> {
  const ann = await gate.admitted(client)
  const visitors = [...gate.refused, ann, ...gate.refused, ann, ...gate.refused]
  const answers: Answer[] = []
  for (const headers of visitors) answers.push(await client.get('/secret', headers))
  return answers
}

/** A guard of the route must exist when the route is declared; one of an instance need not. */
function isPossible({ level, scope, order }: Arrangement): boolean {
  if (order !== 'cache and route before gate') return true
  return level === 'instance' && scope !== 'cache and route in a child scope'
}

async function check(t: TestContext, gate: Gate, arrangement: Arrangement): Promise<void> {
  const [cachedApp, cachedRuns] = await build(gate, arrangement, true)
  const [plainApp, plainRuns] = await build(gate, arrangement, false)
  const answers = await visit(await listen(t, cachedApp), gate)
  const expected = await visit(await listen(t, plainApp), gate)
  const place = Object.values(arrangement).join(', ')
  assert.deepEqual(answers.map(essence), expected.map(essence), place)
  const admitted = expected.filter(({ status }) => status === 200)
  const refused = expected.filter(({ status }) => status === 401 || status === 403)
  assert.deepEqual([admitted.length, refused.length], [2, gate.refused.length * 3], place)
  assert.equal(plainRuns.count, 2, place)
  assert.equal(cachedRuns.count, 1, `the cache was warm: ${place}`)
  const hit = answers.findLast(({ status }) => status === 200)!
  assertHit(hit)
}

for (const gate of gates) {
  for (const hook of HOOKS) {
    for (const level of ['route', 'instance'] as const) {
      test(`${gate.name} in ${hook} of the ${level} admits and refuses on a warm cache as without one`, async (t) => {
        for (const scope of SCOPES) {
          for (const order of ORDERS) {
            const arrangement: Arrangement = { hook, level, scope, order }
            if (isPossible(arrangement)) await check(t, gate, arrangement)
          }
        }
      })
    }
  }
}
