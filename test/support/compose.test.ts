import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { startRedis } from './redis.ts'

let root = import.meta.dirname
while (!existsSync(join(root, 'package.json'))) root = dirname(root)

// Started with nothing beside the file and the password, as docker-compose.yml starts it.
describe('docker/redis.conf', () => {
  it('is read by a real server and is in force', async () => {
    const configFile = join(root, 'docker', 'redis.conf')
    const server = await startRedis({ configFile, password: 'secret' })
    const config = server.client()
    const settings = {
      maxmemory: String(256 * 1024 * 1024),
      'maxmemory-policy': 'volatile-ttl',
      'maxmemory-samples': '10',
      'lazyfree-lazy-eviction': 'yes',
      'lazyfree-lazy-expire': 'yes',
      'lazyfree-lazy-server-del': 'yes',
      'lazyfree-lazy-user-del': 'yes',
      'tcp-keepalive': '60',
      timeout: '0',
    }
    for (const [name, value] of Object.entries(settings)) {
      assert.deepEqual(await config.config('GET', name), [name, value])
    }
    await server.stop()
  })

  it('evicts responses and keeps the control keys, whose TTL is longer', async () => {
    const configFile = join(root, 'docker', 'redis.conf')
    const server = await startRedis({ configFile, args: ['--maxmemory', '4mb'] })
    const redis = server.client()
    const control = ['epoch', 'seq', 'log', 'tags', 'floor'].map((name) => `{shop}:${name}`)
    for (const key of control) await redis.set(key, '1', 'EX', 30 * 24 * 3600)
    const body = Buffer.alloc(1000)
    for (let round = 0; round < 20; round += 1) {
      const keys = Array.from({ length: 1000 }, (_, index) => `response:${round}:${index}`)
      await Promise.all(keys.map((key) => redis.set(key, body, 'EX', 60 + (round % 3) * 3600)))
    }
    assert.match(await redis.info('stats'), /evicted_keys:[1-9]/)
    assert.equal(await redis.exists(...control), control.length)
    await server.stop()
  })
})
