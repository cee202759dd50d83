// The demo's Swagger UI, which a newcomer opens first.
import assert from 'node:assert/strict'
import { after, before, it } from 'node:test'

import { type Demo, startDemo } from '../demo/demo.ts'
import { openPage } from '../support/browser.ts'

let demo: Demo
before(async () => {
  demo = await startDemo()
})
after(() => demo.end())

it("the demo's /docs lists its routes and sends a request, without an error", async (t) => {
  const origin = demo.line('API')
  const { page, complaints } = await openPage(t, { origin })
  await page.goto(`${origin}/docs`)
  const route = page.getByRole('button', { name: 'get /countries/{code}', exact: false }).first()
  await route.click()
  await page.getByPlaceholder('code').first().fill('FR')
  await page.getByRole('button', { name: 'Execute' }).click()
  await page.getByText('cache-status', { exact: false }).first().waitFor()
  assert.deepEqual(complaints, [])
})
