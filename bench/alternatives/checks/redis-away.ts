import { setTimeout as sleep } from 'node:timers/promises'

import { type Check, isShared } from '../check.ts'
import { type Answer, PATIENCE_MS } from '../client.ts'
import { OURS, type Peer } from '../peers.ts'
import { Outcome, type Site, Stage } from '../stage.ts'

function inWords(answer: Answer | undefined): string {
  if (answer === undefined) return `no answer in ${PATIENCE_MS / 1000} s`
  return `${answer.status} in ${answer.seconds.toFixed(1)} s`
}

async function warm(site: Site): Promise<void> {
  await site.fill('/item/1')
  await site.get('/item/1')
}

/** Its client is ioredis, and made by the application. */
const takesIoredis = (peer: Peer): boolean => 'ioredis' in peer.packages || peer.name === OURS

export const REDIS_AWAY: readonly Check[] = [
  {
    title: 'Redis frozen: a URL that is not kept yet',
    brief: true,
    means: isShared,
    run: async (stage) => {
      const site = await stage.site()
      await warm(site)
      ;(await stage.redis()).freeze()
      return inWords(await site.try('/item/2'))
    },
  },
  {
    title: 'The same, with `commandTimeout: 500` in the options of ioredis',
    means: takesIoredis,
    run: async (stage) => {
      const site = await stage.site({ client: { commandTimeout: 500 } })
      await warm(site)
      ;(await stage.redis()).freeze()
      return inWords(await site.try('/item/2'))
    },
  },
  {
    title: 'Redis frozen for 3 s: a URL that this process had answered',
    means: isShared,
    run: async (stage) => {
      const site = await stage.site()
      await warm(site)
      ;(await stage.redis()).freeze()
      await sleep(3000)
      const before = stage.truth.runs('/item/1')
      const answer = await site.try('/item/1')
      const handler = stage.truth.runs('/item/1') > before ? 'from the handler' : 'kept'
      return answer === undefined ? inWords(answer) : `${inWords(answer)}, ${handler}`
    },
  },
  {
    title: 'Redis frozen: a write that awaits its invalidation',
    means: isShared,
    run: async (stage) => {
      const site = await stage.site()
      await warm(site)
      ;(await stage.redis()).freeze()
      return inWords(await site.try('/item/1', { method: 'PUT' }))
    },
  },
  {
    title: 'No Redis at start: the first request',
    brief: true,
    means: isShared,
    run: async (stage) => {
      const site = await stage.site({ redisUrl: Stage.nobody() }).catch((error: unknown) => {
        if (error instanceof Outcome) throw error
        throw new Outcome('does not start')
      })
      return inWords(await site.try('/item/1'))
    },
  },
]
