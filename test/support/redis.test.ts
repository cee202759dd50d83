import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { type RedisServer, type RedisServerOptions, startRedis } from './redis.ts'

async function withRedis(
  options: RedisServerOptions,
  use: (server: RedisServer) => Promise<void>,
): Promise<void> {
  const server = await startRedis(options)
  try {
    await use(server)
  } finally {
    await server.stop()
  }
}

async function isListening(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}

async function setting(server: RedisServer, name: string): Promise<string | undefined> {
  const reply = await server.client().config('GET', name)
  return reply[1]
}

describe('startRedis', () => {
  it('starts a server of its own that persists nothing and listens on loopback only', async () => {
    await withRedis({}, async (server) => {
      assert.equal(server.url, `redis://127.0.0.1:${server.port}`)
      assert.equal(await setting(server, 'bind'), '127.0.0.1')
      assert.equal(await setting(server, 'save'), '')
      assert.equal(await setting(server, 'appendonly'), 'no')
      assert.match(await server.client().info('server'), new RegExp(`process_id:${server.pid}\r`))
    })
  })

  it('gives servers started at once a port each', async () => {
    const servers = await Promise.all(Array.from({ length: 8 }, () => startRedis()))
    assert.equal(new Set(servers.map((server) => server.port)).size, 8)
    await Promise.all(servers.map((server) => server.stop()))
  })

  it('says so when a given port is taken', async () => {
    await withRedis({}, async (server) => {
      await assert.rejects(startRedis({ port: server.port }), /Address already in use/)
    })
  })

  it('listens on a unix socket only, with a password, when asked to', async () => {
    const password = 'p@ss w/rd?é'
    await withRedis({ port: false, unixSocket: true, password }, async (server) => {
      assert.equal(server.port, 0)
      assert.equal(await server.client().ping(), 'PONG')
      const user = new Redis(server.url)
      assert.equal(await user.ping(), 'PONG')
      user.disconnect()
      const stranger = server.client({ password: 'wrong' })
      await assert.rejects(stranger.ping(), /WRONGPASS|NOAUTH/)
    })
  })

  it('puts command-line settings above the configuration file', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'redis-conf-'))
    const configFile = join(folder, 'redis.conf')
    writeFileSync(configFile, 'maxmemory 4mb\nmaxclients 77\nappendonly yes\nloglevel warning\n')
    await withRedis({ configFile, args: ['--maxmemory', '8mb'] }, async (server) => {
      assert.equal(await setting(server, 'maxmemory'), String(8 * 1024 * 1024))
      assert.equal(await setting(server, 'maxclients'), '77')
      assert.equal(await setting(server, 'appendonly'), 'no')
    })
    rmSync(folder, { recursive: true })
  })

  it('shows what the server printed when it does not start', async () => {
    await assert.rejects(startRedis({ args: ['--maxmemory', 'plenty'] }), /maxmemory "?plenty/)
  })

  it('answers nothing while frozen and goes on where it was when thawed', async () => {
    await withRedis({}, async (server) => {
      const client = server.client()
      await client.set('before', '1')
      server.freeze()
      const answer = client.get('before')
      assert.equal(await Promise.race([answer, sleep(100, 'silence')]), 'silence')
      server.thaw()
      assert.equal(await answer, '1')
    })
  })

  it('comes back empty on the same port, and its clients come back by themselves', async () => {
    await withRedis({}, async (server) => {
      const [client, { port, pid }] = [server.client(), server]
      await client.set('a', '1')
      await server.kill()
      assert.equal(await isListening(port), false)
      await server.restart()
      assert.equal(server.port, port)
      assert.notEqual(server.pid, pid)
      assert.equal(await client.get('a'), null)
    })
  })

  it('stops a frozen server too, twice if need be, and removes its folder', async () => {
    const server = await startRedis({ unixSocket: true })
    server.freeze()
    await server.stop()
    await server.stop()
    assert.equal(await isListening(server.port), false)
    assert.equal(existsSync(dirname(server.socket ?? '')), false)
  })
})

const script = (end: string): string => `
  const { startRedis } = await import(${JSON.stringify(new URL('redis.js', import.meta.url).href)})
  const server = await startRedis({ unixSocket: true })
  server.freeze()
  console.log(JSON.stringify({ port: server.port, socket: server.socket }))
  ${end}
`

describe('a test process that ends without stopping its servers', () => {
  const endings: Record<string, [end: string, act: (child: ChildProcess) => void]> = {
    'is killed with SIGKILL': ['setInterval(() => {}, 1000)', (child) => child.kill('SIGKILL')],
    'is ended with SIGTERM': ['setInterval(() => {}, 1000)', (child) => child.kill('SIGTERM')],
    'throws outside every test': ['setImmediate(() => { throw new Error() })', () => {}],
    'simply has nothing left to do': ['', () => {}],
  }
  for (const [title, [end, act]] of Object.entries(endings)) {
    it(`leaves no server and no folder behind when it ${title}`, async () => {
      const child = spawn(process.execPath, ['--input-type=module', '-e', script(end)], {
        stdio: ['ignore', 'pipe', 'ignore'],
      })
      const [line] = (await once(child.stdout, 'data')) as [Buffer]
      const { port, socket } = JSON.parse(line.toString()) as { port: number; socket: string }
      act(child)
      if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
      const deadline = Date.now() + 5000
      const base = dirname(dirname(socket))
      while ((existsSync(base) || (await isListening(port))) && Date.now() < deadline)
        await sleep(10)
      assert.equal(existsSync(base), false)
      assert.equal(await isListening(port), false)
    })
  }
})
