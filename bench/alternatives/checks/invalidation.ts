import { setTimeout as sleep } from 'node:timers/promises'

import { load } from '../../load.ts'
import { type Check, isShared, keeps } from '../check.ts'
import { Outcome, SETTLED_MS, type Site, type Stage } from '../stage.ts'

const ITEM = '/item/1'

const isOld = async (site: Site): Promise<boolean> => (await site.text(ITEM)).includes('old')

/** A handler has read; somebody writes and invalidates; then the handler answers. */
async function race(stage: Stage, runner: Site, writer: Site): Promise<string> {
  // Both have open connections and all code loaded.
  await Promise.all([runner.get('/item/0'), writer.get('/item/0')])
  stage.truth.hold(ITEM)
  const first = runner.get(ITEM)
  await stage.truth.reached(ITEM, 1)
  stage.truth.write(ITEM, 'new')
  await writer.put(ITEM)
  stage.truth.release()
  await first
  for (let turn = 0; turn < 3; turn++) {
    await sleep(SETTLED_MS)
    for (const site of [runner, writer]) if (await isOld(site)) return 'old page'
  }
  return 'new page'
}

/** All processes have it; one writes. */
async function spread(stage: Stage): Promise<string> {
  const [writer, other] = await stage.sites()
  for (const site of [writer, other, writer, other]) await site.fill(ITEM)
  stage.truth.write(ITEM, 'new')
  await writer.put(ITEM)
  const start = performance.now()
  if (!(await isOld(other))) return 'new page at once'
  while (performance.now() - start < 5000) {
    await sleep(10)
    if (!(await isOld(other))) return `new page within ${within(performance.now() - start)}`
  }
  return 'old page after 5 s'
}

const within = (ms: number): string => (ms < 100 ? '0.1 s' : `${Math.ceil(ms / 1000)} s`)

let writes = 0
const DELETE = { method: 'DELETE', timeoutMs: 120_000 }

/** Milliseconds that one invalidation of the tag takes when so many entries have it. */
async function costWith(entries: number, site: Site): Promise<number> {
  await load(site.port, entries, { path: (index) => `/tagged/${index}` })
  await sleep(SETTLED_MS)
  const kept = await site.text('/tagged/0')
  if ((await site.text('/tagged/0')) !== kept) throw new Outcome('not kept')
  // What the filling left behind, and connections that slept.
  await sleep(500)
  const answer = await site.try(`/tagged?${(writes += 1)}`, DELETE)
  if (answer?.status === 501) throw new Outcome('no tags')
  if (answer?.status !== 204) throw new Outcome(String(answer?.status ?? 'no answer in 120 s'))
  if ((await site.text('/tagged/0')) === kept) throw new Outcome('not invalidated')
  return answer.seconds * 1000
}

const milliseconds = (ms: number): string => `${ms < 10 ? ms.toFixed(1) : Math.round(ms)} ms`

export const INVALIDATION: readonly Check[] = [
  {
    title: 'Written and invalidated while the handler ran: afterwards',
    brief: true,
    means: keeps,
    run: async (stage) => {
      const site = await stage.site()
      return race(stage, site, site)
    },
  },
  {
    title: 'The same, written in another process',
    brief: true,
    means: isShared,
    run: async (stage) => race(stage, ...(await stage.sites())),
  },
  { title: 'Two processes have it, one invalidates: the other', means: isShared, run: spread },
  {
    title: 'Invalidating one tag: with 1 entry, with many',
    brief: true,
    means: keeps,
    run: async (stage) => {
      const site = await stage.site()
      // What is compiled and opened at first use.
      for (let turn = 0; turn < 20; turn++) await site.try(`/tagged?${(writes += 1)}`, DELETE)
      const few: number[] = []
      for (let turn = 0; turn < 5; turn++) few.push(await costWith(1, site))
      const median = few.toSorted((a, b) => a - b)[2]!
      const many = await costWith(stage.entries, site)
      return `${milliseconds(median)}, ${milliseconds(many)}`
    },
  },
]
