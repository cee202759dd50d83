import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'

// Those of the dashboard's page need a browser: test/browser loads them in one.
const PAGE = join('dashboard', 'page')

// Also what makes coverage count a module that no other test loads, or that only holds types.
it('loads every module of src', async () => {
  const src = join(import.meta.dirname, '..', '..', 'src')
  const names = readdirSync(src, { recursive: true, encoding: 'utf8' })
  const modules = names.filter((name) => /\.[jt]s$/.test(name) && !name.startsWith(PAGE))
  for (const name of modules) {
    await import(pathToFileURL(join(src, name)).href)
  }
})
