import { type Check, isShared, keeps } from '../check.ts'
import type { Site, Stage } from '../stage.ts'

const REQUESTS = 100
const ITEM = '/item/1'

/** How many handlers run for requests that all are there before the first one answers. */
async function runs(stage: Stage, sites: readonly Site[]): Promise<string> {
  for (const site of sites) await site.get('/item/0')
  stage.truth.hold(ITEM)
  const all = Array.from({ length: REQUESTS }, (_, index) => sites[index % sites.length]!.get(ITEM))
  const answers = Promise.all(all)
  let arrived = 0
  while (arrived < REQUESTS + sites.length) {
    const counts = await Promise.all(sites.map((site) => site.ask<number>('arrived')))
    arrived = counts.reduce((sum, count) => sum + count)
  }
  await stage.truth.quiet(ITEM, 500)
  stage.truth.release()
  await answers
  return String(stage.truth.runs(ITEM))
}

export const LOAD: readonly Check[] = [
  {
    title: `Handler runs for ${REQUESTS} concurrent requests for a cold URL`,
    brief: true,
    means: keeps,
    run: async (stage) => runs(stage, [await stage.site()]),
  },
  {
    title: 'The same over two processes',
    means: isShared,
    run: async (stage) => runs(stage, await stage.sites()),
  },
]
