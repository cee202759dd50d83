// What the compiler knows of the client. The functions are compiled, never called.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Packr, pack, unpack } from 'msgpackr'
import { deserialize, serialize } from 'node:v8'

import {
  type CacheClient,
  type CacheNamespace,
  type Inspection,
  type ValueStats,
  type WrappedFunction,
  WriteUnconfirmedError,
} from '../../src/index.ts'

type Equal<A, B> =
  (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const expect = <T extends true>(_value: T): void => {}

interface User {
  id: number
  team: string
}
declare function findUser(id: number, options?: { deleted: boolean }): Promise<User | null>

declare function method(this: User, name: string): string

async function functions(cache: CacheClient): Promise<void> {
  const find = cache.wrap('user', findUser, {
    ttl: '1m',
    errorTtl: 5,
    lossy: true,
    tags: ([id, options], user) => {
      expect<Equal<typeof id, number>>(true)
      expect<Equal<typeof options, { deleted: boolean } | undefined>>(true)
      expect<Equal<typeof user, User | null>>(true)
      return [`user:${id}`]
    },
    key: (id, options) => `${id} ${options?.deleted}`,
  })
  expect<Equal<Parameters<typeof find>, Parameters<typeof findUser>>>(true)
  expect<Equal<ReturnType<typeof find>, Promise<User | null>>>(true)
  expect<Equal<ReturnType<typeof find.invalidate>, Promise<void>>>(true)
  expect<Equal<Parameters<typeof find.keyOf>, Parameters<typeof findUser>>>(true)
  await find(1)
  // @ts-expect-error no text
  await find('1')
  // @ts-expect-error the arguments of the function
  await find.invalidate()
  const add = cache.wrap('add', (...numbers: number[]) => numbers.length, { tags: ['a'] })
  expect<Equal<typeof add, WrappedFunction<number[], number>>>(true)
  // @ts-expect-error a list
  cache.wrap('x', findUser, { tags: 'a' })
  // @ts-expect-error unknown option
  cache.wrap('x', findUser, { tll: 1 })
  // @ts-expect-error a method needs its object, which is not passed on
  cache.wrap('x', method)
}
async function values(cache: CacheClient): Promise<void> {
  const made = await cache.getOrSet('a', async () => ({ id: 1 }), {
    tags: (value) => {
      expect<Equal<typeof value, { id: number }>>(true)
      return [`id:${value.id}`]
    },
    errorTtl: '5s',
  })
  expect<Equal<typeof made, { id: number }>>(true)
  const written = await cache.writeThrough('a', () => 5, { tags: (n) => [n.toFixed()], ttl: 1 })
  expect<Equal<typeof written, number>>(true)
  const many = await cache.getMany<User>(new Set(['a']))
  expect<Equal<typeof many, Map<string, User>>>(true)
  expect<Equal<Awaited<ReturnType<typeof cache.ttl>>, number | undefined>>(true)
  await cache.setMany(new Map([['a', 1]]), { ttl: 1, tags: ['x'] })
  await cache.setMany(Object.entries({ a: 1 }))
  await cache.touch('a', '5m')
  for await (const key of cache.keys({ prefix: 'a' })) expect<Equal<typeof key, string>>(true)
  // @ts-expect-error a value that is given has no tags made of it
  await cache.set('a', 1, { tags: () => ['x'] })
  // @ts-expect-error a write that fails is not kept
  await cache.writeThrough('a', () => 1, { errorTtl: 1 })
  const error: unknown = undefined
  if (error instanceof WriteUnconfirmedError) expect<Equal<typeof error.code, string>>(true)
}

async function namespaces(cache: CacheClient): Promise<void> {
  const users = cache.namespace('users', {
    ttl: 1,
    version: 2,
    serializer: new Packr(),
    lossy: true,
  })
  expect<Equal<typeof users, CacheNamespace>>(true)
  users.namespace('a', { serializer: { encode: pack, decode: unpack }, version: 'x' })
  users.namespace('b', { serializer: { encode: serialize, decode: deserialize } })
  users.namespace('c', { serializer: { encode: JSON.stringify, decode: JSON.parse } })
  // @ts-expect-error text is read as text
  users.namespace('d', { serializer: { encode: () => 'x', decode: (bytes: Buffer) => bytes } })
  // @ts-expect-error promises are no bytes
  users.namespace('e', { serializer: { encode: async () => 'x', decode: String } })
  expect<Equal<ReturnType<typeof users.stats>, ValueStats>>(true)
  expect<Equal<Awaited<ReturnType<typeof users.inspect>>, Inspection[]>>(true)
  await cache.inspect({ url: '/a' }, { body: true })
  // @ts-expect-error tags are common to all namespaces, and so is their invalidation
  await users.invalidateTags(['a'])
}

test('the compiler has checked what it knows of the client', () => {
  assert.deepEqual([typeof functions, typeof values, typeof namespaces], Array(3).fill('function'))
})
