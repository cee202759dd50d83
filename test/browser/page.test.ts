// What the dashboard shows, in the browser that shows it.
import assert from 'node:assert/strict'
import { it } from 'node:test'

import type { Page } from 'playwright-core'

import responseCache, { type CacheClient } from '../../src/index.ts'
import { eventually } from '../demo/demo.ts'
import { startShop } from './app.ts'
import { textTooFaint } from './contrast.ts'

const live = (page: Page): Promise<void> => page.getByRole('status').getByText('Live').waitFor()

interface Canvas {
  width: number
  height: number
  toDataURL(): string
  ownerDocument: { createElement(name: 'canvas'): Canvas }
}

/** What the canvas of a chart shows; undefined while that is nothing. */
async function picture(page: Page, chart: RegExp): Promise<string | undefined> {
  const canvas = page.getByRole('img', { name: chart }).locator('canvas').first()
  return canvas.evaluate((shown: Canvas) => {
    const { width, height, ownerDocument } = shown
    const blank = Object.assign(ownerDocument.createElement('canvas'), { width, height })
    const url = shown.toDataURL()
    return url === blank.toDataURL() ? undefined : url
  })
}

it('the page opens without an error, and asks nobody but its own server', async (t) => {
  const shop = await startShop(t)
  shop.traffic()
  const { page, complaints } = await shop.open()
  await live(page)
  await page.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
  assert.deepEqual(complaints, [])
})

it('without the slash at its end the address leads to the page as well', async (t) => {
  const shop = await startShop(t)
  const { page, complaints } = await shop.open({ path: '/cache-dashboard' })
  await live(page)
  assert.equal(new URL(page.url()).pathname, '/cache-dashboard/')
  assert.deepEqual(complaints, [])
})

it('the charts are drawn, and move while requests come', async (t) => {
  const shop = await startShop(t)
  shop.traffic()
  const { page, complaints } = await shop.open()
  await live(page)
  for (const chart of [/^Requests per second/, /^Hit rate/, /^Distribution of latencies/]) {
    const seen = new Set<string>()
    await eventually(
      async () => {
        const shown = await picture(page, chart)
        return shown !== undefined && seen.add(shown).size >= 3
      },
      () => `${chart.source}: ${seen.size} pictures`,
    )
  }
  assert.deepEqual(complaints, [])
})

for (const colorScheme of ['light', 'dark'] as const) {
  it(`in ${colorScheme} colours every text has the contrast that WCAG AA asks for`, async (t) => {
    const shop = await startShop(t)
    shop.traffic()
    await shop.client.get('/basket')
    await shop.app.cache.invalidateTags(['products'])
    const { page, complaints } = await shop.open({ colorScheme })
    await live(page)
    await page.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
    assert.deepEqual(await textTooFaint(page), [])
    assert.deepEqual(complaints, [])
  })
}

it('the page follows when the system changes from light to dark', async (t) => {
  const shop = await startShop(t)
  shop.traffic()
  const { page } = await shop.open({ colorScheme: 'light' })
  await live(page)
  const background = (): Promise<unknown> =>
    page.evaluate('getComputedStyle(document.body).backgroundColor')
  const before = await background()
  await page.emulateMedia({ colorScheme: 'dark' })
  assert.notEqual(await background(), before)
  assert.deepEqual(await textTooFaint(page), [])
})

it('no window, from that of a phone on, is scrolled sideways', async (t) => {
  const shop = await startShop(t)
  shop.traffic()
  const long = `/search?q=${'long'.repeat(60)}`
  await shop.client.get(long)
  await shop.app.cache.invalidateUrl(long)
  const { page } = await shop.open({ viewport: { width: 1280, height: 844 } })
  await live(page)
  await page.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
  for (const width of [1280, 768, 390, 360]) {
    await page.setViewportSize({ width, height: 844 })
    assert.equal(await page.evaluate('document.documentElement.scrollWidth'), width)
  }
})

it('of many routes the page shows the first ones, and finds the others', async (t) => {
  const shop = await startShop(t, {
    routes: (app) => {
      for (let index = 10; index < 50; index++) {
        app.get(`/page-${index}`, { config: { cache: true } }, async () => 'page')
      }
    },
  })
  for (let index = 10; index < 50; index++) await shop.client.get(`/page-${index}`)
  const { page } = await shop.open()
  const rows = page.getByRole('table').first().getByRole('rowheader')
  await page.getByRole('button', { name: 'Show all 44' }).click()
  assert.equal(await rows.count(), 44)
  await page.getByRole('button', { name: 'Show the first 25' }).click()
  assert.equal(await rows.count(), 25)
  await page.getByRole('searchbox', { name: 'Filter routes' }).fill('PAGE-49')
  assert.deepEqual(await rows.allInnerTexts(), ['/page-49'])
})

it('of several caches one is chosen, and the address of the page says which', async (t) => {
  let second: CacheClient
  const shop = await startShop(t, {
    before: (app) =>
      app.register(async (scope) => {
        await scope.register(responseCache, { defaults: { ttl: '1h' } })
        second = scope.cache
      }),
    dashboard: (app) => ({ unprotected: true, caches: { first: app.cache, second } }),
  })
  await shop.client.get('/products/1')
  const { page, complaints } = await shop.open()
  const routes = page.getByRole('table').first()
  await routes.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
  await page.getByRole('combobox', { name: 'Cache' }).selectOption('second')
  await page.getByText('No routes are cached yet').waitFor()
  assert.equal(new URL(page.url()).search, '?cache=second')
  await page.reload()
  await live(page)
  assert.equal(await page.title(), 'second · Response cache')
  assert.deepEqual(complaints, [])
})
