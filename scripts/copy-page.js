// What tsc does not do for the dashboard's page, which it compiles into dist/.
//   node scripts/copy-page.js           adds HTML, CSS, and the module that the page shares with the cache
//   node scripts/copy-page.js build     also copies all of it, with its source maps, to where tests have it
import { copyFileSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'

const root = dirname(import.meta.dirname)
const source = join(root, 'src', 'dashboard', 'page')
const page = join(root, 'dist', 'dashboard', 'page')

for (const name of ['index.html', 'page.css']) copyFileSync(join(source, name), join(page, name))
copyFileSync(join(root, 'dist', 'advice.js'), join(page, 'advice.js'))

if (process.argv[2] === 'build') {
  const target = join(root, 'build', 'src', 'dashboard', 'page')
  mkdirSync(target, { recursive: true })
  for (const name of readdirSync(page)) {
    if (name.endsWith('.map')) moveMap(join(page, name), join(target, name))
    else copyFileSync(join(page, name), join(target, name))
  }
}

/**
 * A source map names its source from where it lies.
 * @param {string} from
 * @param {string} to
 */
function moveMap(from, to) {
  const map = JSON.parse(readFileSync(from, 'utf8'))
  map.sources = map.sources.map((/** @type {string} */ name) =>
    relative(dirname(to), join(dirname(from), name)),
  )
  writeFileSync(to, JSON.stringify(map))
}
