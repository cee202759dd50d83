// What an operator does on the page: invalidates, asks why, looks at what is stored.
import assert from 'node:assert/strict'
import { it, type TestContext } from 'node:test'

import type { Locator, Page } from 'playwright-core'

import { type Shop, startShop, statusOf } from './app.ts'
import { textTooFaint } from './contrast.ts'

interface Opened {
  shop: Shop
  page: Page
  complaints: string[]
}

async function open(t: TestContext, readOnly = false): Promise<Opened> {
  const shop = await startShop(t, { dashboard: () => ({ unprotected: true, readOnly }) })
  const { page, complaints } = await shop.open()
  await page.getByRole('status').getByText('Live').waitFor()
  return { shop, page, complaints }
}

const section = (page: Page, name: string): Locator =>
  page.getByRole('region', { name, exact: true })

async function store(shop: Shop, ...paths: string[]): Promise<void> {
  for (const path of paths) {
    await shop.client.get(path)
    assert.equal(await statusOf(shop.client, path), 'hit', path)
  }
}

/** By, what is typed, and which of the two stored URLs it hits. */
const INVALIDATIONS = [
  ['Tag', 'product:1', { '/products/1': true, '/products/2': false }],
  ['URL', '/products/1', { '/products/1': true, '/products/2': false }],
  ['Route', '/search', { '/products/1': false, '/search?q=a': true }],
  ['Pattern', '/products/*', { '/products/1': true, '/search?q=a': false }],
] as const

for (const [by, value, hits] of INVALIDATIONS) {
  it(`an invalidation by ${by}, looked at and confirmed, makes the next read a miss`, async (t) => {
    const { shop, page, complaints } = await open(t)
    await store(shop, ...Object.keys(hits))
    const form = section(page, 'Invalidate')
    await form.getByRole('radio', { name: by }).check({ force: true })
    await form.getByRole('combobox').first().or(form.getByRole('textbox')).first().fill(value)
    await form.getByRole('button', { name: 'Preview' }).click()

    const result = section(page, 'Invalidation')
    await result.getByText('1 entry').waitFor()
    for (const path of Object.keys(hits)) assert.equal(await statusOf(shop.client, path), 'hit')
    await result.getByRole('button', { name: 'Invalidate now' }).click()
    await result.getByText(/Position in the log: 1\b/).waitFor()
    for (const [path, isHit] of Object.entries(hits)) {
      assert.equal((await statusOf(shop.client, path)) === 'hit', !isHit, path)
    }
    await section(page, 'Recent invalidations').getByText('#1', { exact: true }).waitFor()
    assert.deepEqual(complaints, [])
  })
}

it('an invalidation that is cancelled, or changed before it is confirmed, does nothing', async (t) => {
  const { shop, page } = await open(t)
  await store(shop, '/products/1')
  const form = section(page, 'Invalidate')
  const value = form.getByLabel('Tag', { exact: true }).last()
  await value.fill('products')
  await form.getByRole('button', { name: 'Preview' }).click()
  await form.getByRole('button', { name: 'Cancel' }).click()
  assert.equal(await form.getByRole('button', { name: 'Invalidate now' }).count(), 0)
  await form.getByRole('button', { name: 'Preview' }).click()
  await form.getByRole('button', { name: 'Invalidate now' }).waitFor()
  await value.fill('products-and-more')
  assert.equal(await form.getByRole('button', { name: 'Invalidate now' }).count(), 0)
  assert.equal(await statusOf(shop.client, '/products/1'), 'hit')
})

it('what cannot be invalidated is refused in the words of the server, beside the form', async (t) => {
  const { page } = await open(t)
  const form = section(page, 'Invalidate')
  await form.getByRole('combobox', { name: 'Tag' }).fill('x'.repeat(1025))
  await form.getByRole('button', { name: 'Preview' }).click()
  await form.getByRole('alert').getByText(/1024/).waitFor()
  assert.equal(await form.getByRole('button', { name: 'Invalidate now' }).count(), 0)
})

it('a page that is read-only shows what an invalidation would do, and has no button for it', async (t) => {
  const { shop, page } = await open(t, true)
  await store(shop, '/products/1')
  const form = section(page, 'Invalidate')
  await form.getByLabel('Tag', { exact: true }).last().fill('products')
  await form.getByRole('button', { name: 'Preview' }).click()
  await form.getByText('read-only').waitFor()
  assert.equal(await form.getByRole('button', { name: 'Invalidate now' }).count(), 0)
})

it('explain tells why a request is a miss, a hit or never stored', async (t) => {
  const { shop, page, complaints } = await open(t)
  const panel = section(page, 'Explain a request')
  const told = section(page, 'Explanation')
  const explain = async (path: string): Promise<void> => {
    await panel.getByLabel('URL or path').fill(path)
    await panel.getByRole('button', { name: 'Explain' }).click()
    await told.getByText(`GET ${path}`, { exact: false }).first().waitFor()
  }
  await explain('/products/1')
  await told.getByText('uri-miss').first().waitFor()
  await store(shop, '/products/1')
  await explain('/products/1')
  await told.getByText('Hit', { exact: true }).waitFor()
  await told.getByText('product:1').first().waitFor()
  assert.deepEqual(await textTooFaint(page), [])
  await shop.client.get('/basket')
  await explain('/basket')
  await told
    .getByText(/set-cookie/i)
    .first()
    .waitFor()
  await explain('/nowhere')
  await told.getByText('No route takes this request.').waitFor()
  assert.deepEqual(complaints, [])
})

it('what cannot be looked up is said beside the form', async (t) => {
  const { page } = await open(t)
  const panel = section(page, 'Explain a request')
  await panel.getByRole('button', { name: 'Explain' }).click()
  await panel.getByRole('alert').getByText('Which URL?').waitFor()
  assert.equal(await page.evaluate('document.activeElement.id'), 'look-up-url')
  await panel.getByLabel('URL or path').fill('/products/9')
  await panel.getByRole('button', { name: 'Show stored entry' }).click()
  await panel.getByText('Nothing is stored under the key').waitFor()
  await panel.getByText('Header fields').click()
  await panel.getByLabel(/One field a line/).fill('no colon')
  await panel.getByRole('button', { name: 'Explain' }).click()
  await panel.getByRole('alert').getByText('Line 1').waitFor()
})

it('header fields that are typed count in the explanation', async (t) => {
  const { page } = await open(t)
  const panel = section(page, 'Explain a request')
  await panel.getByLabel('URL or path').fill('/products/1')
  await panel.getByText('Header fields').click()
  await panel.getByLabel(/One field a line/).fill('authorization: Bearer x')
  await panel.getByRole('button', { name: 'Explain' }).click()
  await section(page, 'Explanation').getByText('Bypass', { exact: true }).waitFor()
  assert.equal(await panel.getByText('Bearer x').count(), 0)
})

it('the entry inspector shows fields, tags and age, and the body only when asked', async (t) => {
  const { shop, page, complaints } = await open(t)
  await store(shop, '/secret')
  const panel = section(page, 'Explain a request')
  await panel.getByLabel('URL or path').fill('/secret')
  await panel.getByRole('button', { name: 'Show stored entry' }).click()
  const told = section(page, 'Explanation')
  await told.getByRole('rowheader', { name: 'content-type' }).waitFor()
  assert.doesNotMatch(await page.content(), /THE STORED BODY/)
  await told.getByRole('button', { name: /^Show the body/ }).click()
  await told.getByText('THE STORED BODY').waitFor()
  await told.getByRole('button', { name: 'Hide the body' }).click()
  assert.equal(await told.getByText('THE STORED BODY').count(), 0)
  assert.deepEqual(await textTooFaint(page), [])
  assert.deepEqual(complaints, [])
})

it('the tags are found by a part of their names, and lead to the form that invalidates them', async (t) => {
  const { shop, page } = await open(t)
  await store(shop, '/products/1', '/products/2')
  const tags = section(page, 'Tags')
  await tags.getByRole('searchbox').fill('duct:2')
  await tags.getByRole('rowheader', { name: 'product:2' }).waitFor()
  assert.equal(await tags.getByRole('rowheader').count(), 1)
  await tags.getByRole('button', { name: 'Invalidate tag product:2' }).click()
  const result = section(page, 'Invalidation')
  await result.getByRole('button', { name: 'Invalidate now' }).click()
  await result.getByText(/Position in the log: 1\b/).waitFor()
  assert.notEqual(await statusOf(shop.client, '/products/2'), 'hit')
  assert.equal(await statusOf(shop.client, '/products/1'), 'hit')
})
