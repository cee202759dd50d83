// Finds a Chromium for the tests of test/browser and installs one when there is none, as redis-server.js
// does for Redis. Run by hand it prints the path it found.
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { chromium as playwright } from 'playwright-core'
import { aptGet, locked, onPath, reason, run } from './install.js'

/** The environment variable that names the browser to use; scripts/test.js sets it for the tests. */
export const VARIABLE = 'RESPONSE_CACHE_TEST_CHROMIUM'

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']
const APPLICATIONS = [
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
]
// Debian's chromium only recommends fonts, and a page without any has text of no size.
const PACKAGES = ['chromium', 'fonts-liberation']
const STILL_MS = 10_000

/** @typedef {import('./install.js').Say} Say */

/**
 * The path of a Chromium, or Chrome, that runs here.
 * @param {Say} [say]
 * @returns {Promise<string>}
 * @throws {Error} when there is none and none can be installed; the message says what to do
 */
export async function chromium(say = () => {}) {
  const chosen = process.env[VARIABLE]
  if (chosen !== undefined) {
    if (await runs(chosen)) return chosen
    throw new Error(`${VARIABLE}=${chosen} is no Chromium that runs here`)
  }
  const installed = async () => (await find()) ?? (await install(say))
  return (await find()) ?? (await locked('chromium', installed))
}

async function find() {
  // The last one is where `npx playwright-core install chromium` puts its own.
  for (const path of [...onPath(NAMES), ...APPLICATIONS, playwright.executablePath()]) {
    if (existsSync(path) && (await runs(path))) return path
  }
  return undefined
}

/** @param {string} path */
async function runs(path) {
  try {
    // Ubuntu's chromium-browser is a script that asks for a snap: only what tells its version is one.
    const { stdout } = await run(path, ['--version'])
    return /Chrom(e|ium)\b.* \d+\./.test(stdout)
  } catch {
    return false
  }
}

/** @param {Say} say */
async function install(say) {
  /** @type {string} */
  let failure
  if (process.getuid?.() === 0) {
    try {
      await installPackages(say)
      const path = await find()
      if (path !== undefined) return path
      failure = 'apt-get install: finished, and still no Chromium runs'
    } catch (error) {
      failure = `apt-get install: ${reason(error)}`
    }
  } else {
    failure = 'Only root may install packages, and this is not root.'
  }
  throw new Error(
    `The tests in test/browser need Chromium or Chrome and start it themselves. There is none on PATH, and ` +
      `none was installed. Install it (apt-get install ${PACKAGES.join(' ')}, brew install --cask chromium, or ` +
      `npx playwright-core install --with-deps chromium) or set ${VARIABLE} to its path.\n  ${failure}`,
  )
}

/** @param {Say} say */
async function installPackages(say) {
  const started = Date.now()
  const doing = `no Chromium here: apt-get install ${PACKAGES.join(' ')}`
  say(`${doing}, some 100 MB`)
  const still = setInterval(() => {
    say(`${doing}, since ${Math.round((Date.now() - started) / 1000)} s`)
  }, STILL_MS)
  const command = ['install', '-y', '--no-install-recommends', ...PACKAGES]
  try {
    // The lists may be good enough, and to renew them takes as long as the browser.
    await aptGet(command).catch(async () => {
      await aptGet(['update'])
      await aptGet(command)
    })
  } finally {
    clearInterval(still)
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  console.log(await chromium((line) => console.error(line)))
}
