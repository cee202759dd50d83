import Fastify from 'fastify'
import responseCache from 'fastify-response-cache'

const prices = new Map([['tea', 4]])
const app = Fastify()
await app.register(responseCache) // in memory; add redis and a namespace to share it

app.get<{ Params: { id: string } }>(
  '/products/:id',
  { config: { cache: { ttl: '5m', tags: (request) => [`product:${request.params.id}`] } } },
  ({ params }) => ({ id: params.id, price: prices.get(params.id) ?? null, at: new Date() }),
)

app.put<{ Params: { id: string }; Body: { price: number } }>(
  '/products/:id',
  { config: { cache: { invalidates: (request) => [`product:${request.params.id}`] } } },
  async ({ params, body }) => {
    prices.set(params.id, body.price)
    return { saved: true }
  },
)

await app.listen({ port: Number(process.env.PORT ?? 3000) })
