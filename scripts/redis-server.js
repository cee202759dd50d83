// Finds a Redis server for the tests and installs one when there is none, so that `npm test` works
// on a machine that has never heard of Redis. Run by hand it prints the path it found.
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { aptGet, cache, locked, onPath, reason, run } from './install.js'

/** The environment variable that names the server to use; scripts/test.js sets it for all tests. */
export const VARIABLE = 'RESPONSE_CACHE_TEST_REDIS_SERVER'

const OLDEST = [6, 2]
const unpacked = join(cache, 'redis')

/** @typedef {import('./install.js').Say} Say */

/**
 * The path of a redis-server (or valkey-server) that runs here.
 * @param {Say} [say]
 * @returns {Promise<string>}
 * @throws {Error} when there is none and none can be installed; the message says what to do
 */
export async function redisServer(say = () => {}) {
  const chosen = process.env[VARIABLE]
  if (chosen !== undefined) {
    if (await runs(chosen)) return chosen
    throw new Error(
      `${VARIABLE}=${chosen} is not a Redis server ≥ ${OLDEST.join('.')} that runs here`,
    )
  }
  return (
    (await find()) ?? (await locked('redis', async () => (await find()) ?? (await install(say))))
  )
}

async function find() {
  const paths = onPath(['redis-server', 'valkey-server'])
  for (const path of [...paths, join(unpacked, 'redis-server')]) {
    if (existsSync(path) && (await runs(path))) return path
  }
  return undefined
}

/** @param {string} path */
async function runs(path) {
  try {
    // Asking the binary itself also proves that its shared libraries load.
    const { stdout } = await run(path, ['--version'])
    const version = /\bv=(\d+)\.(\d+)/.exec(stdout)
    if (version === null) return false
    const [major, minor] = [Number(version[1]), Number(version[2])]
    return major > OLDEST[0] || (major === OLDEST[0] && minor >= OLDEST[1])
  } catch {
    return false
  }
}

/** @param {Say} say */
async function install(say) {
  /** @type {[string, () => Promise<void>][]} */
  const ways = [['dpkg -x into .cache/redis', () => unpackPackages(say)]]
  if (process.getuid?.() === 0) ways.unshift(['apt-get install', () => installPackage(say)])
  const failures = []
  for (const [name, way] of ways) {
    try {
      await way()
      const path = await find()
      if (path !== undefined) return path
      failures.push(`${name}: finished, and still no server runs`)
    } catch (error) {
      failures.push(`${name}: ${reason(error)}`)
    }
  }
  throw new Error(
    `The tests need a Redis server ≥ ${OLDEST.join('.')} and start it themselves. There is no redis-server ` +
      `or valkey-server on PATH, and installing one failed. Install it (apt-get install redis-server, ` +
      `brew install redis) or set ${VARIABLE} to its path.\n  ${failures.join('\n  ')}`,
  )
}

/** @param {Say} say */
async function installPackage(say) {
  say('no redis-server here: apt-get install redis-server')
  const allowServicesAgain = forbidServices()
  try {
    await aptGet(['update'])
    await aptGet(['install', '-y', '--no-install-recommends', 'redis-server'])
  } finally {
    allowServicesAgain()
  }
}

// Debian's package starts a server on port 6379 as it is installed. The suite uses only servers it
// started itself and leaves none behind, and policy-rc.d is Debian's way to say so. RUNLEVEL alone
// (in aptGet) would do for init scripts but not for systemd.
function forbidServices() {
  const policy = '/usr/sbin/policy-rc.d'
  try {
    const script =
      '#!/bin/sh\n# Made for one apt-get install by the tests of fastify-response-cache.\nexit 101\n'
    writeFileSync(policy, script, { flag: 'wx', mode: 0o755 })
  } catch {
    return () => {} // somebody else's policy is in force, and stays
  }
  return () => rmSync(policy, { force: true })
}

/** @param {Say} say */
async function unpackPackages(say) {
  say('no redis-server here: unpacking its Debian packages into .cache/redis')
  const work = join(cache, `redis-${process.pid}`)
  const packages = join(work, 'packages')
  mkdirSync(packages, { recursive: true })
  try {
    await download(work, packages)
    for (const file of readdirSync(packages)) {
      await run('dpkg', ['-x', join(packages, file), join(work, 'root')])
    }
    for (const name of ['redis-server', 'redis-cli']) {
      writeFileSync(join(work, name), LAUNCHER)
      chmodSync(join(work, name), 0o755)
    }
    rmSync(packages, { recursive: true })
    rmSync(unpacked, { recursive: true, force: true })
    renameSync(work, unpacked)
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

// exec, so that the process id the tests hold is the server's own.
const LAUNCHER = `#!/bin/sh
root=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/root
for folder in "$root"/lib/*-linux-* "$root"/usr/lib/*-linux-*; do
  [ -d "$folder" ] && LD_LIBRARY_PATH="$folder\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
exec "$root/usr/bin/$(basename "$0")" "$@"
`

/**
 * @param {string} work
 * @param {string} packages
 */
async function download(work, packages) {
  try {
    await downloadWith([], packages)
  } catch {
    // The machine's package lists are missing or out of date, and only root may renew them: own ones.
    const lists = join(work, 'lists')
    mkdirSync(join(lists, 'partial'), { recursive: true })
    const own = ['-o', `Dir::State::lists=${lists}`, '-o', `Dir::Cache=${join(work, 'cache')}`]
    await aptGet([...own, 'update'])
    await downloadWith(own, packages)
    rmSync(lists, { recursive: true, force: true })
    rmSync(join(work, 'cache'), { recursive: true, force: true })
  }
}

/**
 * @param {string[]} options
 * @param {string} packages
 */
async function downloadWith(options, packages) {
  // A simulated install names exactly the libraries that this machine lacks.
  const plan = await aptGet([
    ...options,
    '-s',
    '--no-install-recommends',
    'install',
    'redis-server',
  ])
  const missing = [...plan.matchAll(/^Inst (\S+)/gm)].map((match) => match[1])
  const names = new Set(['redis-server', 'redis-tools', ...missing])
  await aptGet([...options, 'download', ...names], packages)
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(await redisServer((line) => console.error(line)))
}
