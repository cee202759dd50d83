// What tsc leaves behind of the dashboard's page: node scripts/copy-page.js dist
import { cpSync } from 'node:fs'
import { dirname, extname, join } from 'node:path'

const [, , target = 'dist'] = process.argv
const root = dirname(import.meta.dirname)
const page = join('dashboard', 'page')
cpSync(join(root, 'src', page), join(root, target, page), {
  recursive: true,
  filter: (file) => ['', '.html', '.css', '.svg'].includes(extname(file)),
})
