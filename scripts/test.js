// npm test, after compiling: node --test over build/test, the heavy folders after the rest.
//   npm test -- store/ cache-key      only files whose path contains one of these
//   npm test -- --test-name-pattern=frame      options go to node --test
//   COVERAGE=1 npm test      leaves V8 coverage in coverage/tmp, for c8 report
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative, sep } from 'node:path'
import { pathToFileURL } from 'node:url'
import * as browser from './chromium.js'
import * as redis from './redis-server.js'

const SECOND_MS = 1000
const MINUTE_MS = 60 * SECOND_MS
// These start servers and processes of their own and measure time: they get both cores.
const HEAVY = new Set(['fleet', 'faults', 'topology', 'demo', 'browser'])
/** @typedef {{ concurrency: number, testMs: number, fileMs: number, allMs: number }} Limits */
/** @type {Limits} */
const LIGHT_LIMITS = {
  concurrency: 2,
  testMs: MINUTE_MS,
  fileMs: 3 * MINUTE_MS,
  allMs: 15 * MINUTE_MS,
}
/** @type {Limits} */
const HEAVY_LIMITS = {
  concurrency: 1,
  testMs: 4 * MINUTE_MS,
  fileMs: 10 * MINUTE_MS,
  allMs: 40 * MINUTE_MS,
}

const root = dirname(import.meta.dirname)
const tests = join(root, 'build', 'test')
const args = process.argv.slice(2)
const options = args.filter((arg) => arg.startsWith('-'))
const patterns = args.filter((arg) => !arg.startsWith('-')).map(asCompiled)

/**
 * A source file's name, as a shell completes it, means the file compiled from it.
 * @param {string} pattern
 */
function asCompiled(pattern) {
  return pattern.replace(/^\.\//, '').replace(/\.ts$/, '.js')
}

function testFiles() {
  const names = readdirSync(tests, { recursive: true, encoding: 'utf8' })
  const files = names.filter((name) => name.endsWith('.test.js')).map((name) => join(tests, name))
  if (patterns.length === 0) return files.sort()
  const wanted = (/** @type {string} */ file) => patterns.some((part) => file.includes(part))
  return files.filter((file) => wanted(relative(root, file))).sort()
}

/** @param {string} file */
function isHeavy(file) {
  return HEAVY.has(folderOf(file))
}

/** @param {string} file */
function folderOf(file) {
  return relative(tests, file).split(sep)[0]
}

/** @param {string} name */
function script(name) {
  return pathToFileURL(join(import.meta.dirname, name)).href
}

/**
 * @param {string[]} files
 * @param {Limits} limits
 * @returns {Promise<Record<string, number>>} counts by node's names: pass, fail, cancelled …
 */
async function runPass(files, limits) {
  const folder = mkdtempSync(join(tmpdir(), 'response-cache-counts-'))
  const countsFile = join(folder, 'counts.json')
  const command = [
    ...['--import', script('test-limit.js'), '--test', `--test-concurrency=${limits.concurrency}`],
    ...['--test-reporter=spec', '--test-reporter-destination=stdout'],
    `--test-reporter=${script('test-counts.js')}`,
    `--test-reporter-destination=${countsFile}`,
    ...options,
    ...files,
  ]
  const result = await runNode(command, limits)
  const counts = read(countsFile)
  rmSync(folder, { recursive: true })
  if (result !== 0 && failures(counts) === 0) {
    console.error(`the test runner ended with ${result}`)
    counts.fail = 1
  }
  return counts
}

/**
 * @param {string[]} command
 * @param {Limits} limits
 * @returns {Promise<number | string>} exit code or signal
 */
async function runNode(command, { testMs, fileMs, allMs }) {
  const env = {
    ...process.env,
    RESPONSE_CACHE_TEST_LIMIT_MS: String(testMs),
    RESPONSE_CACHE_TEST_FILE_LIMIT_MS: String(fileMs),
  }
  const runner = spawn(process.execPath, command, { cwd: root, env, stdio: ['ignore', 1, 2] })
  const end = (/** @type {NodeJS.Signals} */ signal) => {
    console.error(`the tests are not over after ${allMs / SECOND_MS} s: ${signal}`)
    runner.kill(signal)
  }
  const timers = [
    setTimeout(end, allMs, 'SIGTERM'),
    setTimeout(end, allMs + 10 * SECOND_MS, 'SIGKILL'),
  ]
  try {
    const [code, signal] = await once(runner, 'exit')
    return signal ?? code
  } finally {
    for (const timer of timers) clearTimeout(timer)
  }
}

/**
 * @param {string} file
 * @returns {Record<string, number>}
 */
function read(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'))
  } catch {
    return {} // the runner ended before it closed, which its exit code tells as well
  }
}

/** @param {Record<string, number>} counts */
function failures({ fail = 0, cancelled = 0 }) {
  return fail + cancelled
}

const files = testFiles()
if (files.length === 0) {
  console.error(`no compiled test matches ${patterns.join(' ') || 'build/test/**/*.test.js'}`)
  process.exit(1)
}
const say = (/** @type {string} */ line) => console.log(line)
process.env[redis.VARIABLE] = await redis.redisServer(say)
if (files.some((file) => folderOf(file) === 'browser')) {
  process.env[browser.VARIABLE] = await browser.chromium(say)
}
if (process.env.COVERAGE === '1') {
  rmSync(join(root, 'coverage'), { recursive: true, force: true })
  process.env.NODE_V8_COVERAGE = join(root, 'coverage', 'tmp')
}

const total = { passed: 0, failed: 0, skipped: 0 }
for (const heavy of [false, true]) {
  const selected = files.filter((file) => isHeavy(file) === heavy)
  if (selected.length === 0) continue
  const counts = await runPass(selected, heavy ? HEAVY_LIMITS : LIGHT_LIMITS)
  total.passed += counts.pass ?? 0
  total.failed += failures(counts)
  total.skipped += (counts.skipped ?? 0) + (counts.todo ?? 0)
}
const skipped = total.skipped === 0 ? '' : `, ${total.skipped} skipped`
console.log(`\n${total.passed} passed, ${total.failed} failed${skipped}`)
process.exitCode = total.failed === 0 && total.passed > 0 ? 0 : 1
