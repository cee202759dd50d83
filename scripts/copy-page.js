// What tsc does not make of the dashboard's page: HTML, CSS, and the module that it shares with the cache.
//   node scripts/copy-page.js dist build/src
import { copyFileSync, mkdirSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)

for (const folder of process.argv.slice(2)) {
  const page = join(root, folder, 'dashboard', 'page')
  mkdirSync(page, { recursive: true })
  for (const name of ['index.html', 'page.css']) {
    copyFileSync(join(root, 'src', 'dashboard', 'page', name), join(page, name))
  }
  copyFileSync(join(root, folder, 'advice.js'), join(page, 'advice.js'))
}
