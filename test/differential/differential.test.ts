// The same application with and without the cache, asked at random over raw sockets: every answer with
// the cache is one that the application without it could have given to that same request.
//
// A failure prints the steps, shrunk, with a seed and a path. The same steps again, or more runs:
//   FC_SEED=… FC_PATH=… node --test --test-name-pattern=memory build/test/differential/
//   DIFFERENTIAL_RUNS=1000 node --test build/test/differential/
import { type TestContext, test } from 'node:test'

import fc from 'fast-check'

import { startRedis } from '../support/redis.ts'
import { STEPS } from './requests.ts'
import { type Instances, Tally, run } from './scene.ts'

const { DIFFERENTIAL_RUNS, FC_SEED, FC_PATH } = process.env

async function check(t: TestContext, runs: number, instances: () => Instances): Promise<Tally> {
  const told = new Tally()
  let last: Promise<void> | undefined
  let begun = 0
  await fc.assert(
    fc.asyncProperty(STEPS, (steps) => {
      begun++
      return (last = run(steps, told, instances()))
    }),
    {
      includeErrorInReport: true,
      numRuns: Number(DIFFERENTIAL_RUNS ?? runs),
      // A failure is shrunk for as long as the time limit of a test permits.
      ...(DIFFERENTIAL_RUNS === undefined ? { interruptAfterTimeLimit: 45_000 } : {}),
      ...(FC_SEED === undefined ? {} : { seed: Number(FC_SEED) }),
      ...(FC_PATH === undefined ? {} : { path: FC_PATH, endOnFailure: true }),
    },
  )
  // On a slow machine the time limit leaves a run behind, which the next test must not meet.
  await last
  if (begun < runs) told.share = (begun - 1) / runs / 2
  t.diagnostic(JSON.stringify(told.counts))
  return told
}

test('with the cache in memory every answer is one that the plain application could have given', async (t) => {
  const told = await check(t, 30, () => [{}])
  if (FC_PATH !== undefined) return
  told.assertAtLeast({
    requests: 4000,
    hits: 500,
    'hits of HEAD': 50,
    'hits with 204': 1,
    'hits with 206': 1,
    'hits with 302': 10,
    'hits with 304': 40,
    'hits with 404': 1,
    stored: 500,
    collapsed: 30,
    'forwarded: bypass': 200,
    'forwarded: stale': 200,
    'status 401': 50,
    'status 409': 20,
    'status 500': 10,
  })
})

test('with the cache in Redis every answer is one that the plain application could have given', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  let runs = 0
  const told = await check(t, 8, () => [
    { redis: server.url, namespace: `run-${runs++}`, memory: false },
  ])
  if (FC_PATH !== undefined) return
  told.assertAtLeast({ requests: 500, hits: 80, stored: 100, 'forwarded: stale': 20 })
})

test('two instances with strict consistency answer as one plain application could have', async (t) => {
  const server = await startRedis()
  t.after(() => server.stop())
  let runs = 0
  const told = await check(t, 8, () => {
    const defaults = { ttl: '1h', consistency: 'strict' } as const
    const options = { redis: server.url, namespace: `run-${runs++}`, defaults }
    return [options, options]
  })
  if (FC_PATH !== undefined) return
  told.assertAtLeast({ requests: 500, hits: 80, stored: 100, 'forwarded: stale': 20 })
})
