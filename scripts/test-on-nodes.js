// npm run test:nodes: the compiled tests on every other supported Node. Their binaries are npm packages,
// installed under .cache/nodes and not into the project. Arguments are those of npm test.
import { execFileSync, spawnSync } from 'node:child_process'
import { existsSync, mkdirSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'

const VERSIONS = ['22.23.3', '24.21.0', '26.10.0']

const root = dirname(import.meta.dirname)

/** @param {string} version */
function binaryFolder(version) {
  const name = `node-${process.platform}-${process.arch}`
  const prefix = join(root, '.cache', 'nodes', version)
  const folder = join(prefix, 'node_modules', name, 'bin')
  if (existsSync(join(folder, 'node'))) return folder
  console.log(`installing ${name}@${version} into .cache/nodes`)
  mkdirSync(prefix, { recursive: true })
  const options = ['--prefix', prefix, '--no-audit', '--no-fund', '--no-package-lock', '--no-save']
  execFileSync('npm', ['install', ...options, `${name}@${version}`], {
    stdio: 'inherit',
    cwd: prefix,
  })
  return folder
}

/**
 * @param {string} version
 * @returns {boolean} whether all tests passed
 */
function test(version) {
  const folder = binaryFolder(version)
  console.log(`\n──── Node ${version} ────`)
  // First on PATH as well, for what the tests start as `node`.
  const env = { ...process.env, PATH: folder + delimiter + (process.env.PATH ?? '') }
  const args = [join(import.meta.dirname, 'test.js'), ...process.argv.slice(2)]
  const { status } = spawnSync(join(folder, 'node'), args, { cwd: root, env, stdio: 'inherit' })
  return status === 0
}

const results = VERSIONS.map((version) => ({ version, passed: test(version) }))
console.log()
for (const { version, passed } of results) {
  console.log(`Node ${version}: ${passed ? 'all tests passed' : 'FAILED'}`)
}
process.exitCode = results.every(({ passed }) => passed) ? 0 : 1
