import type { FastifyInstance } from 'fastify'

import type { Adapter, Place } from '../adapter.ts'
import { load } from '../install.ts'
import { adapterWith } from './cacheable.ts'

type KeyvRedis = new (client: object, options: object) => object

/** The four settings of its documentation; with createKeyvNonBlocking a start without Redis hangs. */
export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { default: KeyvRedis, createClient } = await load<{
    default: KeyvRedis
    createClient: (options: object) => object
  }>('@keyv/redis')
  const secondary = (): object => {
    const socket = { reconnectStrategy: false }
    const client = createClient({ url: place.redisUrl, disableOfflineQueue: true, socket })
    return new KeyvRedis(client, { throwOnConnectError: false })
  }
  return adapterWith(() => ({ secondary: secondary(), nonBlocking: true }), place)
}
