// What all processes read and write, in place of a database server: it lives in the first process,
// the others ask for it, and each answer takes as long as a slow query.
import type { Worker } from 'node:cluster'
import { setTimeout as pause } from 'node:timers/promises'

export interface Product {
  id: string
  price: number
  /** Grows with each write. */
  version: number
}

/** With a price: a write. */
interface Query {
  query: number
  id: string
  price?: number
}

const QUERY_MS = 20
const products = new Map<string, Product>()

/** In the first process. False when the message is none for the database. */
export function answerQuery(worker: Worker, message: object): boolean {
  if (!('query' in message)) return false
  const { query, id, price } = message as Query
  const known = products.get(id) ?? { id, price: 1 + (Number(id) % 100), version: 1 }
  const product = price === undefined ? known : { id, price, version: known.version + 1 }
  products.set(id, product)
  void pause(QUERY_MS).then(() => worker.isConnected() && worker.send({ query, product }))
  return true
}

export type Database = (id: string, price?: number) => Promise<Product>

/** In the others. */
export function connectDatabase(): Database {
  const open = new Map<number, (product: Product) => void>()
  let last = 0
  process.on('message', (message: object) => {
    if (!('query' in message)) return
    const { query, product } = message as { query: number; product: Product }
    open.get(query)?.(product)
    open.delete(query)
  })
  return (id, price) =>
    new Promise((resolve) => {
      open.set(++last, resolve)
      process.send!({ query: last, id, price } satisfies Omit<Query, 'price'> & { price: unknown })
    })
}
