import type { FastifyInstance } from 'fastify'

import { type Adapter, type Place, TTL_SECONDS } from '../adapter.ts'
import { load } from '../install.ts'

interface Store {
  useL1Layer(driver: unknown): Store
  useL2Layer(driver: unknown): Store
  useBus(driver: unknown): Store
}
interface Bento {
  getOrSet(options: object): Promise<unknown>
  deleteByTag(options: { tags: string[] }): Promise<unknown>
}
type Driver = (options: object) => unknown

export default async function setUp(_app: FastifyInstance, place: Place): Promise<Adapter> {
  const { BentoCache, bentostore } = await load<{
    BentoCache: new (options: object) => Bento
    bentostore: () => Store
  }>('bentocache')
  const { memoryDriver } = await load<{ memoryDriver: Driver }>('bentocache/drivers/memory')
  const { redisDriver, redisBusDriver } = await load<{
    redisDriver: Driver
    redisBusDriver: Driver
  }>('bentocache/drivers/redis')
  const { hostname, port } = new URL(place.redisUrl)
  const connection = { host: hostname, port: Number(port), ...place.client }
  const bento = new BentoCache({
    default: 'multitier',
    ttl: `${TTL_SECONDS}s`,
    l2CircuitBreakerDuration: '10s',
    stores: {
      multitier: bentostore()
        .useL1Layer(memoryDriver({ maxSize: '10mb' }))
        .useL2Layer(redisDriver({ connection }))
        .useBus(redisBusDriver({ connection })),
    },
  })
  const invalidate = (tag: string): Promise<unknown> => bento.deleteByTag({ tags: [tag] })
  return {
    value: (key, tag, make) => bento.getOrSet({ key, factory: make, tags: [tag] }),
    invalidate,
    invalidateTag: invalidate,
  }
}
