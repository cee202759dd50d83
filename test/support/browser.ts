// Chromium, and pages of it that note all they should not have: messages on the console, exceptions,
// violations of the Content-Security-Policy, requests that failed or went to another origin.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, type TestContext } from 'node:test'
import { pathToFileURL } from 'node:url'

import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

import { projectFolder } from './project-folder.ts'

/** Longer than anything in a page takes, on a machine that is busy with other things too. */
export const PATIENCE_MS = 30_000

const ARGUMENTS = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  // /dev/shm is 64 MB in a container.
  '--disable-dev-shm-usage',
]

let running: Promise<Browser> | undefined

/** One browser for all tests of a file; it ends with them. */
async function browser(): Promise<Browser> {
  running ??= launch()
  return running
}

async function launch(): Promise<Browser> {
  return chromium.launch({
    executablePath: await executable(),
    headless: true,
    chromiumSandbox: process.getuid?.() !== 0, // which root cannot have
    args: ARGUMENTS,
    timeout: PATIENCE_MS,
  })
}

after(async () => {
  const started = await running
  await started?.close()
})

// The script is plain JavaScript outside the compiled tree, since it also runs before compilation.
async function executable(): Promise<string> {
  const script = pathToFileURL(join(projectFolder(), 'scripts', 'chromium.js')).href
  const finder = (await import(script)) as { chromium(): Promise<string> }
  return finder.chromium()
}

/** A page, and what it should not have done. */
export interface Watched {
  page: Page
  /** What it said and did wrong so far, one line each. */
  complaints: string[]
}

export interface PageOptions extends BrowserContextOptions {
  /** Requests may go nowhere else. */
  origin: string
}

/** A page of a profile of its own, closed after the test. Nothing is loaded yet. */
export async function openPage(t: TestContext, options: PageOptions): Promise<Watched> {
  const { origin, ...contextOptions } = options
  const context = await (await browser()).newContext({ locale: 'en-GB', ...contextOptions })
  context.setDefaultTimeout(PATIENCE_MS)
  const page = await context.newPage()
  const complaints = await listen(page, origin)
  if (process.env.COVERAGE === '1')
    await page.coverage.startJSCoverage({ resetOnNavigation: false })
  t.after(async () => {
    if (process.env.COVERAGE === '1') await keepCoverage(page)
    await context.close()
  })
  return { page, complaints }
}

async function listen(page: Page, origin: string): Promise<string[]> {
  const complaints: string[] = []
  page.on('console', (message) => {
    const type = message.type()
    if (type === 'error' || type === 'warning') complaints.push(`console: ${message.text()}`)
  })
  page.on('pageerror', (error) => complaints.push(`exception: ${error.stack ?? error.message}`))
  page.on('request', (request) => {
    const url = new URL(request.url())
    const isLocal = url.protocol === 'data:' || url.protocol === 'blob:'
    if (!isLocal && url.origin !== origin) complaints.push(`another origin: ${request.url()}`)
  })
  page.on('requestfailed', (request) => {
    const why = request.failure()?.errorText
    // What the page itself has given up, as a stream that it closes.
    if (why !== 'net::ERR_ABORTED') complaints.push(`failed: ${request.url()} ${why}`)
  })
  page.on('response', (response) => {
    if (response.status() >= 400) complaints.push(`${response.status()}: ${response.url()}`)
  })
  await page.exposeFunction('noteViolation', (text: string) => {
    complaints.push(`Content-Security-Policy: ${text}`)
  })
  await page.addInitScript(`document.addEventListener('securitypolicyviolation', (event) => {
    noteViolation([event.violatedDirective, event.blockedURI, event.sample].join(' '))
  })`)
  return complaints
}

let written = 0

/*
 * What the page ran, in the form in which Node leaves its own coverage for c8. A script of the dashboard
 * is served as it is in build/, so its file there, with its source map, is what was run.
 */
async function keepCoverage(page: Page): Promise<void> {
  const folder = process.env.NODE_V8_COVERAGE
  if (folder === undefined || page.isClosed()) return
  const scripts = await page.coverage.stopJSCoverage()
  const served = join(projectFolder(), 'build', 'src', 'dashboard', 'page')
  const result = scripts.flatMap(({ url, scriptId, functions }) => {
    const name = /\/([\w-]+\.js)$/.exec(new URL(url).pathname)?.[1]
    if (name === undefined || name === 'uplot.js') return []
    return [{ scriptId, url: pathToFileURL(join(served, name)).href, functions }]
  })
  mkdirSync(folder, { recursive: true })
  const file = `coverage-${process.pid}-${Date.now()}-page${written++}.json`
  writeFileSync(join(folder, file), JSON.stringify({ result }))
}
