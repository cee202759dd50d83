import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { fileURLToPath } from 'node:url'
import { Redis } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'

import { cutConnections } from '../invalidation/log-process.ts'
import { makeCertificates } from '../support/certificates.ts'
import { eventually } from '../support/clock.ts'
import { TestProcess } from '../support/processes.ts'
import { guardedFolder } from '../support/redis-guard.ts'
import { type RedisServer, startRedis } from '../support/redis.ts'
import { openSite, shares } from './sharing.ts'

describe('over TLS', () => {
  const tls = makeCertificates()
  const { ca } = tls
  let server: RedisServer
  let raw: Redis
  before(async () => {
    server = await startRedis({ tls, password: 'secret' })
    raw = server.client()
  })
  after(() => server.stop())
  const cut = (): Promise<void> => cutConnections(raw)

  it('two applications share, with options, and with clients of both versions', async (t) => {
    const options = { host: '127.0.0.1', port: server.port, password: 'secret', tls: { ca } }
    assert.match(server.url, /^rediss:/)
    await shares(t, { cut, redis: () => options })
    await shares(t, { cut, redis: () => new Redis(server.url, { tls: { ca } }) })
    await shares(t, {
      cut,
      redis: () => new Redis5(server.url, { tls: { ca } }) as unknown as Redis,
    })
  })

  it('an application is given a rediss:// URL, and the authority by its environment', async (t) => {
    const file = join(guardedFolder(), 'authority.pem')
    writeFileSync(file, ca)
    process.env['NODE_EXTRA_CA_CERTS'] = file
    const program = fileURLToPath(new URL('program.js', import.meta.url))
    const child = await TestProcess.start(program, server.url)
    delete process.env['NODE_EXTRA_CA_CERTS']
    t.after(() => child.stop())
    await eventually('the log is loaded', () => child.ask<boolean>('verified'))
  })

  it('an authority that is not known is named as the trouble, and nothing is an outage', async (t) => {
    const troubles: string[] = []
    const { get } = await openSite(t, new Map([['1', 1]]), {
      redis: server.url,
      namespace: 'unknown',
      onError: (error) => troubles.push(error.message),
    })
    assert.equal((await get('/item/1')).version, 1)
    await eventually('it is told', () => troubles.some((each) => each.includes('tls: { ca }')))
  })
})
