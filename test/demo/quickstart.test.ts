import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createServer } from 'node:net'
import { dirname, join } from 'node:path'
import { it } from 'node:test'

import { eventually } from './demo.ts'

const QUICKSTART = join(dirname(dirname(import.meta.dirname)), 'examples', 'quickstart.js')

it('The quickstart answers from the cache until a write', async (t) => {
  const port = await freePort()
  const child = spawn(process.execPath, [QUICKSTART], {
    env: { ...process.env, PORT: String(port) },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  t.after(() => child.kill('SIGKILL'))
  const url = `http://localhost:${port}/products/tea`
  await eventually(
    () =>
      fetch(url, { method: 'OPTIONS' }).then(
        () => true,
        () => false,
      ),
    () => 'the quickstart does not listen',
  )
  const get = async (): Promise<[string | null, { price: number }]> => {
    const response = await fetch(url)
    return [response.headers.get('cache-status'), (await response.json()) as { price: number }]
  }
  assert.equal((await get())[0], 'fastify; fwd=uri-miss; stored')
  assert.match((await get())[0] ?? '', /^fastify; hit; ttl=\d+$/)
  const written = await fetch(url, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ price: 5 }),
  })
  assert.equal(written.status, 200)
  const [status, body] = await get()
  assert.equal(status, 'fastify; fwd=stale; stored')
  assert.equal(body.price, 5)
})

async function freePort(): Promise<number> {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, resolve))
  const { port } = server.address() as { port: number }
  await new Promise((resolve) => server.close(resolve))
  return port
}
