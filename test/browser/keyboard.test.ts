// The page without a mouse.
import assert from 'node:assert/strict'
import { it } from 'node:test'

import type { Page } from 'playwright-core'

import { eventually } from '../demo/demo.ts'
import { startShop, statusOf } from './app.ts'

/** Tab until what has the focus is called this; fails when the focus comes around. */
async function tabTo(page: Page, name: RegExp, key = 'Tab'): Promise<void> {
  for (let left = 150; left > 0; left--) {
    await page.keyboard.press(key)
    const focused = page.locator('*:focus')
    const snapshot = (await focused.count()) === 0 ? '' : await focused.ariaSnapshot()
    // Its own line; what is in it comes below.
    if (name.test(snapshot.split('\n', 1)[0] ?? '')) return assertSeen(page)
  }
  assert.fail(`Tab does not lead to ${name}`)
}

/** What has the focus is to be seen, once the page has scrolled to it, and to be seen to have it. */
async function assertSeen(page: Page): Promise<void> {
  const hasRing = await page.evaluate(`(() => {
    const focused = document.activeElement
    return [focused, focused.parentElement, focused.nextElementSibling].some((each) => {
      if (each === null) return false
      const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle(each)
      return (outlineStyle !== 'none' && outlineWidth !== '0px') || boxShadow !== 'none'
    })
  })()`)
  assert.ok(hasRing, 'nothing shows where the focus is')
  const isInView = `(() => {
    const { top, bottom } = document.activeElement.getBoundingClientRect()
    return bottom > 0 && top < innerHeight
  })()`
  await eventually(
    async () => (await page.evaluate(isInView)) === true,
    () => 'what has the focus is out of view',
  )
}

it('the first Tab offers to skip to the content', async (t) => {
  const { page } = await (await startShop(t)).open()
  await page.getByRole('status').getByText('Live').waitFor()
  await tabTo(page, /link "Skip to content"/)
  await page.keyboard.press('Enter')
  assert.equal(await page.evaluate('document.activeElement.id'), 'main')
})

it('a request is explained with the keyboard alone', async (t) => {
  const { page } = await (await startShop(t)).open()
  await page.getByRole('status').getByText('Live').waitFor()
  await tabTo(page, /textbox "URL or path"/)
  await page.keyboard.type('/products/1')
  await page.keyboard.press('Enter')
  const told = page.getByRole('region', { name: 'Explanation' })
  await told.getByText('uri-miss').first().waitFor()
})

it('a pattern is invalidated with the keyboard alone', async (t) => {
  const shop = await startShop(t)
  await shop.client.get('/products/1')
  const { page } = await shop.open()
  await page.getByRole('status').getByText('Live').waitFor()
  await tabTo(page, /radio "Tag"/)
  for (let presses = 0; presses < 3; presses++) await page.keyboard.press('ArrowRight')
  await tabTo(page, /(textbox|combobox) "Pattern/)
  await page.keyboard.type('/products/*')
  await page.keyboard.press('Enter')
  await page.getByRole('button', { name: 'Invalidate now' }).waitFor()
  assert.equal(await statusOf(shop.client, '/products/1'), 'hit')
  await tabTo(page, /button "Invalidate now"/)
  await page.keyboard.press('Enter')
  await page.getByText(/Position in the log: 1\b/).waitFor()
  assert.notEqual(await statusOf(shop.client, '/products/1'), 'hit')
})

it('the table of routes is sorted with the keyboard, and says how', async (t) => {
  const shop = await startShop(t)
  for (const path of ['/search?q=1', '/products/1', '/products/1']) {
    await shop.client.get(path)
  }
  const { page } = await shop.open()
  const routes = page.getByRole('table').first()
  const order = (): Promise<string[]> => routes.getByRole('rowheader').allInnerTexts()
  await routes.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
  await tabTo(page, /button "Route"/)
  await page.keyboard.press('Enter')
  const head = routes.getByRole('columnheader', { name: 'Route' })
  assert.equal(await head.getAttribute('aria-sort'), 'ascending')
  assert.deepEqual(await order(), ['/basket', '/products/:id', '/search', '/secret'])
  await page.keyboard.press('Enter')
  assert.equal(await head.getAttribute('aria-sort'), 'descending')
  assert.deepEqual(await order(), ['/secret', '/search', '/products/:id', '/basket'])
  await tabTo(page, /button "Requests"/)
  await page.keyboard.press('Space')
  assert.equal((await order())[0], '/products/:id')
  assert.equal(await head.getAttribute('aria-sort'), null)
})

it("a route's details open with Enter and close with Escape, and the focus is back where it was", async (t) => {
  const shop = await startShop(t)
  await shop.client.get('/basket')
  const { page, complaints } = await shop.open()
  await page.getByRole('rowheader', { name: '/basket' }).waitFor()
  await tabTo(page, /button "\/basket"/)
  await page.keyboard.press('Enter')
  const dialog = page.getByRole('dialog', { name: '/basket' })
  await dialog
    .getByText(/set-cookie/i)
    .first()
    .waitFor()
  await page.keyboard.press('Escape')
  await dialog.waitFor({ state: 'hidden' })
  assert.equal(await page.evaluate('document.activeElement.textContent'), '/basket')
  assert.deepEqual(complaints, [])
})
