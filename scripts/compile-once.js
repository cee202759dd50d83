// Compiles when nothing is compiled yet: for scripts that are run beside a demo, which must not lose
// the files that it is made of.
//   node scripts/compile-once.js examples/demo/traffic.js
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'

const root = dirname(import.meta.dirname)
const [wanted = ''] = process.argv.slice(2)
if (!existsSync(join(root, 'build', wanted))) {
  const options = { cwd: root, shell: true, /** @type {'inherit'} */ stdio: 'inherit' }
  process.exitCode = spawnSync('npm run -s compile', options).status ?? 1
}
