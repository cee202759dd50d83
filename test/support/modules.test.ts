import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { it } from 'node:test'
import { pathToFileURL } from 'node:url'

// Also what makes coverage count a module that no other test loads, or that only holds types.
it('loads every module of src', async () => {
  const src = join(import.meta.dirname, '..', '..', 'src')
  const names = readdirSync(src, { recursive: true, encoding: 'utf8' })
  for (const name of names.filter((file) => /\.[jt]s$/.test(file))) {
    await import(pathToFileURL(join(src, name)).href)
  }
})
