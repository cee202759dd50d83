import assert from 'node:assert/strict'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import Fastify from 'fastify'

import { readSettings } from '../../examples/demo/settings.ts'
import responseCache from '../../src/index.ts'
import {
  CONF_FOLDER,
  PASSWORD,
  ROOT,
  environmentOf,
  filledIn,
  isHealthy,
  readCompose,
  serviceOf,
  startServer,
} from './compose.ts'
import { startRedis } from './redis.ts'

const { services, volumes } = readCompose()
const names = Object.keys(services)
const profilesOf = (name: string): string[] => services[name]?.profiles ?? []

// Docker is not needed to run these, and so they cannot tell whether the images do what they say.
describe('docker-compose.yml', () => {
  it('refers to files and volumes that exist', () => {
    for (const { build, volumes: mounts = [] } of Object.values(services)) {
      if (build) assert.ok(existsSync(join(ROOT, build.context, build.dockerfile)))
      for (const mount of mounts) {
        const [source = ''] = mount.split(':')
        assert.ok(
          source.startsWith('./') ? existsSync(join(ROOT, source)) : source in volumes,
          mount,
        )
      }
    }
  })

  it('mounts every file that a command names', () => {
    for (const { command = [], volumes: mounts = [] } of Object.values(services)) {
      const targets = new Set(mounts.map((mount) => mount.split(':')[1]))
      const files = command.filter((each) => each.startsWith(CONF_FOLDER))
      assert.ok(command.length === 0 || files.length > 0)
      for (const file of files) assert.ok(targets.has(file), file)
    }
    // The script reads the file beside it.
    assert.equal(serviceOf('redis-sentinel-1').volumes?.length, 2)
  })

  it('pins every image, opens ports to this machine only, and restarts what is to stay', () => {
    for (const [name, { image, ports = [], restart }] of Object.entries(services)) {
      if (image !== undefined) assert.match(image, /:\d+(\.\d+)?(-alpine)?$/, name)
      for (const port of ports) assert.match(port, /^127\.0\.0\.1:/)
      assert.equal(restart, name === 'redis-cluster-create' ? 'no' : 'unless-stopped', name)
    }
    const opened = names.flatMap((name) => services[name]?.ports ?? []).map(filledIn)
    assert.equal(new Set(opened).size, opened.length)
  })

  it('has a health check for all that others wait for, and waits for nothing of another profile', () => {
    for (const [name, { depends_on: needs = {} }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        const ends = services[needed]?.restart === 'no'
        assert.equal(condition, ends ? 'service_completed_successfully' : 'service_healthy')
        assert.ok(ends || services[needed]?.healthcheck?.test.length === 2, `${name}: ${needed}`)
        const shared = profilesOf(needed).filter((each) => profilesOf(name).includes(each))
        assert.ok(profilesOf(needed).length === shared.length, `${name}: ${needed}`)
      }
    }
  })

  it('starts one Redis without a profile, and with each all that its demo needs', () => {
    const without = names.filter((name) => profilesOf(name).length === 0)
    assert.deepEqual(without.toSorted(), ['demo', 'postgres', 'redis', 'redisinsight'])
    const needsOf = (name: string): string[] => {
      const needs = Object.keys(services[name]?.depends_on ?? {})
      return [name, ...needs.flatMap(needsOf)]
    }
    for (const profile of ['sentinel', 'cluster']) {
      const members = names.filter((name) => profilesOf(name).includes(profile))
      const started = new Set(needsOf(`demo-${profile}`))
      assert.deepEqual([...started].toSorted(), [...members, 'postgres'].toSorted())
    }
    assert.ok(needsOf('demo').includes('redis'))
  })

  it('gives each demo settings that it accepts and that name services with the password', () => {
    const redisOf = (name: string): unknown =>
      readSettings(environmentOf(services[name] ?? {})).redis
    assert.deepEqual(redisOf('demo'), { url: `redis://:${PASSWORD}@redis:6379` })
    const sentinel = redisOf('demo-sentinel') as { sentinels: { host: string }[]; name: string }
    assert.deepEqual(
      sentinel.sentinels.map(({ host }) => host),
      names.filter((name) => name.startsWith('redis-sentinel')),
    )
    const cluster = redisOf('demo-cluster') as { cluster: { host: string; port: number }[] }
    assert.ok(cluster.cluster.every(({ host, port }) => host in services && port === 6379))
    const nodes = environmentOf(serviceOf('redis-cluster-create'))['REDIS_CLUSTER']?.split(',')
    assert.deepEqual(
      nodes,
      names.filter((name) => /^redis-cluster-\d/.test(name)).map((name) => `${name}:6379`),
    )
  })

  // Regression: SESSION_SECRET was not passed on, so each start of a container ended all sessions.
  it('passes the secrets of the demo on from the environment, and starts without them', () => {
    for (const name of ['demo', 'demo-sentinel', 'demo-cluster']) {
      for (const secret of ['DASHBOARD_PASSWORD', 'SESSION_SECRET']) {
        assert.equal(services[name]?.environment?.[secret], `\${${secret}:-}`, name)
      }
      const { sessionSecret, dashboardPassword } = readSettings(environmentOf(serviceOf(name)))
      assert.deepEqual([sessionSecret, dashboardPassword], [undefined, undefined])
    }
  })

  it('starts nothing without a password', () => {
    const servers = names.filter((name) => services[name]?.command?.includes('redis-server'))
    assert.equal(servers.length, 9)
    for (const name of servers) {
      const command = services[name]?.command ?? []
      assert.match(command[command.indexOf('--requirepass') + 1] ?? '', /^\$\{REDIS_PASSWORD:\?/)
    }
  })
})

// Started as docker-compose.yml starts it.
describe('docker/redis.conf', () => {
  it('is read by a real server and is in force', async () => {
    const server = await startServer('redis')
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
      requirepass: PASSWORD,
    }
    for (const [name, value] of Object.entries(settings)) {
      assert.deepEqual(await config.config('GET', name), [name, value])
    }
    assert.equal(await isHealthy('redis', server.port), true)
    await server.kill()
    assert.equal(await isHealthy('redis', server.port), false)
    await server.stop()
  })

  it('disables commands that would remove everybody’s keys, and the cache does without them', async (t) => {
    const server = await startServer('redis')
    t.after(() => server.stop())
    const redis = server.client()
    await redis.set('somebody:else', 'stays')
    for (const command of ['FLUSHALL', 'FLUSHDB', 'KEYS']) {
      await assert.rejects(redis.call(command, '*'), /unknown command/)
    }
    const app = Fastify()
    t.after(() => app.close())
    await app.register(responseCache, {
      ...{ redis: server.url, namespace: 'shop', memory: false },
      defaults: { ttl: '1h', tags: ['products'] },
    })
    let runs = 0
    app.get('/products', { config: { cache: true } }, () => ({ run: ++runs }))
    await app.ready()
    const status = async (): Promise<string> => {
      const { headers } = await app.inject('/products')
      return String(headers['cache-status']).replace(/; ttl=\d+/, '')
    }
    const changes: (() => Promise<unknown>)[] = [
      () => app.cache.invalidateTags(['products']),
      () => app.cache.invalidateTags(['products'], { mode: 'purge' }),
      () => app.cache.invalidateUrl('/products'),
      () => app.cache.invalidateRoute('/products'),
      () => app.cache.clear(),
    ]
    for (const change of changes) {
      assert.match(await status(), /fwd=(uri-miss|stale); stored$/)
      while ((await status()) !== 'fastify; hit') assert.ok(runs < 50)
      await change()
    }
    assert.match(await status(), /stored$/)
    assert.equal(await app.cache.set('a', 1, { ttl: 60 }), true)
    await app.cache.delete('a')
    assert.equal(await app.cache.get('a'), undefined)
    assert.deepEqual(app.cache.stats().failures, {})
    assert.equal(await redis.get('somebody:else'), 'stays')
  })

  it('evicts responses and keeps the control keys, whose TTL is longer', async () => {
    const configFile = join(ROOT, 'docker', 'redis.conf')
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
