// Pages that are cached, and which of them an unsafe request made the cache forget.
import assert from 'node:assert/strict'
import type { TestContext } from 'node:test'

import type { FastifyInstance } from 'fastify'

import type { CacheClient } from '../../src/index.ts'
import { type Client, type Setup, start } from '../support/app.ts'

export interface Site {
  client: Client
  cache: CacheClient
  /** Which of the paths are forgotten after the request; all are stored before. */
  forgottenBy: (send: () => Promise<unknown>, paths: readonly string[]) => Promise<string[]>
}

/** `/items/:id` is cached, and what `declare` adds; host names are those of the requests. */
export async function startSite(
  t: TestContext,
  declare: (app: FastifyInstance) => unknown,
  setup: Setup = {},
): Promise<Site> {
  let cache!: CacheClient
  const client = await start(
    t,
    async (app) => {
      cache = app.cache
      app.get('/items/:id', { config: { cache: true } }, async () => 'an item')
      await declare(app)
    },
    setup,
  )
  const isHit = async (path: string): Promise<boolean> =>
    /hit/.test(String((await client.get(path)).headers['cache-status']))
  return {
    client,
    cache,
    forgottenBy: async (send, paths) => {
      for (const path of paths) {
        await client.get(path)
        assert.ok(await isHit(path), `${path} is cached`)
      }
      await send()
      const forgotten: string[] = []
      for (const path of paths) if (!(await isHit(path))) forgotten.push(path)
      return forgotten
    },
  }
}
