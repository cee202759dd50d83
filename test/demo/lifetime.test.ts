import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import { before, describe, it } from 'node:test'

import { Demo, eventually, isAlive, newDataFolder, startDemo } from './demo.ts'

/** The database's process, which must end whenever the demo does. */
function databaseOf(demo: Demo): number {
  const [pid, ...others] = demo.children
  assert.ok(pid !== undefined && others.length === 0, 'one process below the server')
  return pid
}

async function isGone(pid: number): Promise<void> {
  await eventually(
    () => !isAlive(pid),
    () => `process ${pid} is still there`,
  )
}

describe('The demo', () => {
  // Loaded by the first start; the others begin where the one before ended.
  const dataFolder = newDataFolder()
  before(async () => {
    await (await startDemo({ dataFolder })).end()
  })

  it('loads its data once and keeps what was written', async () => {
    const demo = await startDemo()
    assert.match(demo.output, /Loading cities and countries: 100 %/)
    assert.match(demo.line('Data'), /^135,233 cities, 250 countries \(loaded in [\d.]+ s\)$/)
    assert.match(demo.line('API'), /^http:\/\/127\.0\.0\.1:\d+$/)
    assert.equal(demo.line('Docs'), `${demo.line('API')}/docs`)
    assert.equal(demo.line('Stats'), `${demo.line('API')}/stats`)
    assert.match(demo.line('Cache'), /^memory \(REDIS_URL=/)
    assert.match(demo.line('Database'), /^PGlite \d+\.\d+ \(process \d+\), /)
    assert.ok(!demo.output.includes('\u001B'), 'no colours where there is no terminal')
    await demo.send('PATCH', '/cities/2988507', { body: { population: 7 } })
    await demo.end()

    const again = await startDemo({ dataFolder: demo.dataFolder })
    assert.doesNotMatch(again.output, /Loading/)
    assert.match(again.line('Data'), /\(loaded before\)$/)
    assert.equal((await again.get('/cities/2988507')).body.population, 7)
    await again.end()
  })

  // Node does not count it as idle: the end waited for it until its time was up.
  it('does not wait for a connection that was opened ahead of need', async () => {
    const demo = await startDemo({ dataFolder })
    const socket = connect(Number(new URL(demo.line('API')).port), '127.0.0.1')
    await once(socket, 'connect')
    assert.equal((await demo.get('/health')).status, 200)
    assert.equal((await demo.end()).code, 0)
    assert.doesNotMatch(demo.output, /Not everything closed/)
    socket.destroy()
  })

  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
    it(`ends with code 0 on ${signal}, and its database with it`, async () => {
      const demo = await startDemo({ dataFolder })
      const database = databaseOf(demo)
      // Not waited for: what was asked before the signal is still answered.
      const answering = demo.get('/statistics')
      await eventually(
        async () => (await demo.get('/stats')).body.flights === 1,
        () => 'the request did not arrive',
      )
      const ending = demo.end(signal)
      assert.equal((await answering).status, 200)
      assert.equal((await ending).code, 0)
      assert.ok(!isAlive(database))
    })
  }

  it('takes a signal that npm passes on a second time for the same one', async () => {
    const demo = await startDemo({ dataFolder })
    const answering = demo.get('/statistics')
    await eventually(
      async () => (await demo.get('/stats')).body.flights === 1,
      () => 'the request did not arrive',
    )
    demo.process.kill('SIGINT')
    const ending = demo.end('SIGINT')
    assert.equal((await answering).status, 200)
    assert.equal((await ending).code, 0)
    assert.equal(demo.output.split('Stopping').length, 2)
  })

  it('ends in good order when told to while its database is being made or loaded', async () => {
    for (const moment of [/Starting the database/, /Loading cities and countries: \d+ rows/]) {
      const demo = new Demo()
      await demo.printed(moment)
      await eventually(
        () => demo.children.length === 1,
        () => 'the database was not started',
      )
      const database = databaseOf(demo)
      assert.equal((await demo.end()).code, 0)
      await isGone(database)
      assert.doesNotMatch(demo.output, /Ctrl/)
    }
  })

  it('leaves no database behind when it is killed', async () => {
    const demo = await startDemo({ dataFolder })
    const database = databaseOf(demo)
    await demo.end('SIGKILL')
    await isGone(database)
    const again = await startDemo({ dataFolder })
    assert.match(again.line('Data'), /\(loaded before\)$/)
    await again.end()
  })

  it('ends with a reason when its database is killed, and starts again on the same data', async () => {
    const demo = await startDemo({ dataFolder })
    process.kill(databaseOf(demo), 'SIGKILL')
    assert.equal((await demo.ended()).code, 1)
    assert.match(demo.output, /The database process ended \(SIGKILL\)/)
    const again = await startDemo({ dataFolder })
    assert.match(again.line('Data'), /^135,233 cities, .*\(loaded before\)$/)
    await again.end()
  })

  it('says that its port is taken, and takes the next free one', async () => {
    const other = createServer()
    await new Promise<void>((resolve) => other.listen(0, '127.0.0.1', resolve))
    const { port } = other.address() as { port: number }
    const demo = await startDemo({ dataFolder, env: { PORT: String(port) } })
    assert.ok(demo.output.includes(`Port ${port} is taken`), demo.output)
    assert.notEqual(demo.line('API'), `http://127.0.0.1:${port}`)
    assert.equal((await demo.get('/health')).status, 200)
    await demo.end()
    other.close()
  })

  it('runs on a copy in memory while another demo uses the folder', async () => {
    const first = await startDemo({ dataFolder })
    const second = await startDemo({ dataFolder })
    assert.match(second.output, /Another demo uses .*DATABASE_URL/)
    assert.match(second.line('Data'), /^135,233 cities/)
    await first.send('PATCH', '/cities/2988507', { body: { population: 7 } })
    assert.equal((await second.get('/cities/2988507')).body.population, 2138551)
    await Promise.all([first.end(), second.end()])
  })

  it('says what is wrong with a setting, and ends', async () => {
    for (const [name, value] of [
      ['PORT', 'high'],
      ['LOG_LEVEL', 'loud'],
    ] as const) {
      const demo = new Demo({ env: { [name]: value } })
      assert.equal((await demo.ended()).code, 1)
      assert.match(demo.output, new RegExp(`^${name} is '${value}'; give `))
    }
  })

  it('says that a PostgreSQL server cannot be reached, and ends', async () => {
    const demo = new Demo({ env: { DATABASE_URL: 'postgresql://u:secret@127.0.0.1:1/none' } })
    assert.equal((await demo.ended()).code, 1)
    assert.match(demo.output, /ECONNREFUSED/)
    assert.doesNotMatch(demo.output, /secret/)
  })

  it('has no use for a folder that it cannot make', async () => {
    const demo = new Demo({ dataFolder: '/dev/null/demo' })
    assert.equal((await demo.ended()).code, 1)
    assert.match(demo.output, /PGlite could not be started .*DEMO_DATA_DIR/)
  })
})
