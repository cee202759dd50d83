// npm run screenshots: the pictures of docs/images, taken of the demo under the traffic of demo:traffic.
//   SECONDS=20 npm run screenshots      less to see in the charts, for trying it out
//   WARM_UP=0 npm run screenshots       with the misses of an empty cache
//   DATABASE_URL=… npm run screenshots  with that PostgreSQL, and not PGlite
import { spawn } from 'node:child_process'
import { randomBytes, randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { chromium as playwright } from 'playwright-core'
import { chromium } from './chromium.js'
import { redisServer } from './redis-server.js'

const SECONDS = Number(process.env.SECONDS ?? 90)
const WARM_UP_SECONDS = Number(process.env.WARM_UP ?? 30)
const STARTING_MS = 120_000
const root = dirname(import.meta.dirname)
const images = join(root, 'docs', 'images')
const demoFolder = join(root, 'build', 'examples', 'demo')
const password = randomBytes(12).toString('base64url')
const say = (/** @type {string} */ line) => console.log(line)

/** @type {(() => unknown)[]} */
const ends = []

/**
 * @param {string[]} command
 * @param {NodeJS.ProcessEnv} [env]
 */
function run([file = '', ...args], env = {}) {
  const child = spawn(file, args, {
    env: { ...process.env, NO_COLOR: '1', ...env },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const output = { text: '' }
  child.stdout.setEncoding('utf8').on('data', (text) => {
    output.text += text
  })
  ends.push(async () => {
    child.kill()
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit')
  })
  return output
}

/**
 * @param {{ text: string }} output
 * @param {RegExp} pattern
 */
async function printed(output, pattern) {
  for (const started = Date.now(); ; await sleep(50)) {
    const found = pattern.exec(output.text)
    if (found !== null) return found[1] ?? ''
    if (Date.now() - started > STARTING_MS) throw new Error(`no ${pattern} in: ${output.text}`)
  }
}

async function startRedis() {
  const port = randomInt(10_240, 22_000)
  const server = run([await redisServer(say), '--port', String(port), '--save', ''])
  await printed(server, /Ready to accept connections/)
  return `redis://127.0.0.1:${port}`
}

/** The demo, and a second process of it on the same Redis and the same database. */
async function startDemo() {
  const data = mkdtempSync(join(tmpdir(), 'response-cache-pictures-'))
  ends.push(() => rmSync(data, { recursive: true, force: true }))
  const main = [process.execPath, join(demoFolder, 'main.js')]
  const env = {
    ...{ PORT: '0', REDIS_URL: await startRedis(), LOG_LEVEL: 'silent' },
    ...{ DEMO_DATA_DIR: data, DASHBOARD_PASSWORD: password },
  }
  const first = run(main, env)
  await printed(first, /Ctrl\+C stops it/)
  const database =
    process.env.DATABASE_URL ?? (await printed(first, /^ {2}Database .*?(postgresql:\S+)/m))
  const second = run(main, { ...env, DATABASE_URL: database })
  await printed(second, /Ctrl\+C stops it/)
  return [await printed(first, /^ {2}API +(\S+)/m), await printed(second, /^ {2}API +(\S+)/m)]
}

/** @typedef {import('playwright-core').Page} Page */

const DESKTOP = { viewport: { width: 1280, height: 1000 } }
const EXPLAIN_HEIGHT = 880
const PHONE = { viewport: { width: 390, height: 844 }, isMobile: true, hasTouch: true }

/** @param {string} url */
async function openPages(url) {
  const browser = await playwright.launch({
    executablePath: await chromium(say),
    chromiumSandbox: process.getuid?.() !== 0,
    args: ['--font-render-hinting=none', '--disable-gpu'],
  })
  ends.push(() => browser.close())
  /** @param {import('playwright-core').BrowserContextOptions} options */
  const open = async (options) => {
    const httpCredentials = { username: 'admin', password }
    const context = await browser.newContext({ locale: 'en-GB', ...options, httpCredentials })
    const page = await context.newPage()
    await page.goto(`${url}/cache-dashboard/`)
    return page
  }
  return {
    light: await open({ ...DESKTOP, colorScheme: 'light' }),
    dark: await open({ ...DESKTOP, colorScheme: 'dark' }),
    phone: await open({ ...PHONE, colorScheme: 'dark' }),
    explain: await open({ ...DESKTOP, colorScheme: 'light' }),
  }
}

/**
 * @param {Page} page
 * @param {string} name
 * @param {import('playwright-core').PageScreenshotOptions} [options]
 */
async function shoot(page, name, options = {}) {
  const path = join(images, `${name}.png`)
  await page.screenshot({ path, animations: 'disabled', ...options })
  say(`${relative(root, path)}: ${Math.round(statSync(path).size / 1024)} kB`)
}

const SEARCH = '/cities?name=paris'

/**
 * A search whose result was invalidated by a write to one of its cities, as the start screen tells it.
 * @param {string} url
 * @param {Page} page
 */
async function explainMiss(url, page) {
  await fetch(url + SEARCH).then((response) => response.text())
  const changed = await fetch(`${url}/cities/2988507`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ population: 2_102_650 }),
  })
  if (!changed.ok) throw new Error(`the write was answered ${changed.status}`)
  const section = page.getByRole('region', { name: 'Explain a request' })
  await section.getByLabel('URL or path').fill(SEARCH)
  await section.getByRole('button', { name: 'Explain' }).click()
  await section.getByRole('region', { name: 'Explanation' }).getByRole('heading').first().waitFor()
  // So tall that nothing is scrolled: the head of the page would lie over what is shown.
  const height = Number(await page.evaluate('document.documentElement.scrollHeight'))
  await page.setViewportSize({ ...DESKTOP.viewport, height })
  await page.evaluate('scrollTo(0, 0)')
  const box = await section.boundingBox()
  if (box === null) throw new Error('there is no explanation')
  return { ...box, height: Math.min(box.height, EXPLAIN_HEIGHT) }
}

try {
  mkdirSync(images, { recursive: true })
  say('Starting Redis and two processes of the demo …')
  const urls = await startDemo()
  for (const [index, url] of urls.entries()) {
    const rate = ['--rate', index === 0 ? '30' : '5', '--writes', '0.01']
    run([process.execPath, join(demoFolder, 'traffic.js'), '--url', url, ...rate])
  }
  say(`${WARM_UP_SECONDS} s for the cache to fill …`)
  await sleep(1000 * WARM_UP_SECONDS)
  const pages = await openPages(urls[0])
  for (let left = SECONDS; left > 0; left -= 10) {
    say(`Taken in ${left} s, when there is something to see …`)
    await sleep(1000 * Math.min(left, 10))
  }
  await shoot(pages.light, 'dashboard-light')
  await shoot(pages.dark, 'dashboard-dark')
  await shoot(pages.phone, 'dashboard-phone')
  await shoot(pages.explain, 'explain', { clip: await explainMiss(urls[0], pages.explain) })
} finally {
  for (const end of ends.reverse()) await end()
}
