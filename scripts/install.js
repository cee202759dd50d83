// What redis-server.js and chromium.js share: looking on the PATH, apt-get, and one installation at a time.
import { execFile } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { delimiter, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'

const INSTALL_TIMEOUT_MS = 600_000
/** What is kept between runs, and not committed. */
export const cache = join(dirname(import.meta.dirname), '.cache')
export const run = promisify(execFile)

/** @typedef {(line: string) => void} Say what is being done, for whoever waits */

/**
 * Where binaries of these names are on the PATH, the first name first.
 * @param {string[]} names
 */
export function onPath(names) {
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => folder !== '')
  return names.flatMap((name) => folders.map((folder) => join(folder, name))).filter(existsSync)
}

/** @param {unknown} error */
export function reason(error) {
  const stderr = Object(error).stderr
  const text = typeof stderr === 'string' && stderr.trim() !== '' ? stderr : String(error)
  return text.trim().split('\n').slice(-3).join(' | ')
}

/**
 * @param {string[]} args
 * @param {string} [cwd]
 */
export async function aptGet(args, cwd) {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1', LC_ALL: 'C' }
  const options = ['-o', 'DPkg::Lock::Timeout=300', ...args]
  const { stdout } = await run('apt-get', options, { cwd, env, timeout: INSTALL_TIMEOUT_MS })
  return stdout
}

/**
 * Test processes start at the same time; one installs, the others wait and find what it installed.
 * @template T
 * @param {string} name
 * @param {() => Promise<T>} work
 */
export async function locked(name, work) {
  const lock = join(cache, `${name}.lock`)
  mkdirSync(cache, { recursive: true })
  while (!take(lock)) await sleep(200)
  try {
    return await work()
  } finally {
    rmSync(lock, { force: true })
  }
}

/** @param {string} lock */
function take(lock) {
  try {
    writeFileSync(lock, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if (Object(error).code !== 'EEXIST') throw error
  }
  if (isAbandoned(lock)) rmSync(lock, { force: true })
  return false
}

/** @param {string} lock */
function isAbandoned(lock) {
  try {
    if (Date.now() - statSync(lock).mtimeMs > INSTALL_TIMEOUT_MS) return true
    const owner = Number(readFileSync(lock, 'utf8'))
    if (owner > 0) process.kill(owner, 0)
    return false
  } catch (error) {
    return Object(error).code === 'ESRCH'
  }
}
