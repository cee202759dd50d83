import assert from 'node:assert/strict'
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, it } from 'node:test'

import { Demo, eventually, newDataFolder, startDemo } from './demo.ts'

// SIGKILL for both processes: nothing gets to tidy up.
async function kill(demo: Demo): Promise<void> {
  const children = demo.children
  demo.process.kill('SIGSTOP') // so that it cannot react to its child's end
  for (const pid of children) process.kill(pid, 'SIGKILL')
  await demo.end('SIGKILL')
}

async function startsWhole(dataFolder: string): Promise<Demo> {
  const demo = await startDemo({ dataFolder })
  assert.match(demo.line('Data'), /^135,233 cities, 250 countries/)
  assert.equal((await demo.get('/cities?name=reykjavik')).body.total, 1)
  return demo
}

describe('The database of the demo', () => {
  it('is loaded again when the first start was killed while loading', async () => {
    const demo = new Demo()
    await demo.printed(/: 50 %|: 5\d %/)
    await kill(demo)
    const again = await startsWhole(demo.dataFolder)
    assert.match(again.line('Data'), /\(loaded in /)
    await again.end()
  })

  it('is made anew when the first start was killed before PostgreSQL had its files', async () => {
    const demo = new Demo()
    await eventually(
      () => existsSync(join(demo.dataFolder, 'pglite', 'PG_VERSION')),
      () => 'PGlite did not begin',
    )
    await kill(demo)
    assert.ok(!existsSync(join(demo.dataFolder, 'pglite-complete')))
    await (await startsWhole(demo.dataFolder)).end()
  })

  it('is made anew when a file of PostgreSQL is damaged, and only its own files are removed', async () => {
    const dataFolder = newDataFolder()
    writeFileSync(join(dataFolder, 'mine.txt'), 'the user keeps things here')
    await (await startDemo({ dataFolder })).end()
    for (const damage of [withoutControlFile, withRandomRows]) {
      damage(join(dataFolder, 'pglite'))
      const demo = await startsWhole(dataFolder)
      assert.match(demo.output, /could not be opened \(.+\): it was made anew/)
      assert.match(demo.line('Data'), /\(loaded in /)
      await demo.end()
    }
    assert.ok(existsSync(join(dataFolder, 'mine.txt')))
  })
})

function withoutControlFile(files: string): void {
  writeFileSync(join(files, 'global', 'pg_control'), 'not what PostgreSQL wrote')
}

// The largest file is the table of the cities: nothing needs its middle in order to start.
function withRandomRows(files: string): void {
  const folder = join(files, 'base', '5')
  const tables = readdirSync(folder).map((name) => join(folder, name))
  const bytes = tables.map((path) => readFileSync(path))
  const largest = bytes.reduce((best, one, at) => (one.length > bytes[best]!.length ? at : best), 0)
  const table = bytes[largest]!
  table.fill(0xa5, 80 * 8192, 90 * 8192)
  writeFileSync(tables[largest]!, table)
}
