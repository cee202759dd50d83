// The shop of app.ts in a process of its own, with the cache in a Redis that several of them share.
import type { AddressInfo } from 'node:net'

import { serveTest } from '../support/processes.ts'
import { buildShop } from './app.ts'

export interface ShopOptions {
  redis?: string
  /** @default 0, any */
  port?: number
}

let listening = 0

serveTest({
  start: async ({ redis, port = 0 }: ShopOptions): Promise<void> => {
    const shared = redis === undefined ? {} : { redis, namespace: 'shop', announce: true }
    const app = await buildShop({ cache: shared })
    await app.listen({ port, host: '127.0.0.1' })
    ;({ port: listening } = app.server.address() as AddressInfo)
  },
  port: () => listening,
})
