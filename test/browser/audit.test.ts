import assert from 'node:assert/strict'
import { it } from 'node:test'

import dashboard from '../../src/dashboard/index.ts'
import { startShop as startAudited } from '../plugin/audit.ts'
import { PREFIX, openDashboard, startShop } from './app.ts'

it('the page names the write that forgot what the audit found', async (t) => {
  const shop = await startAudited(t, {
    build: (app) => app.register(dashboard, { prefix: PREFIX, unprotected: true }),
  })
  const { page, complaints } = await openDashboard(t, shop.client.origin)
  const audit = page.getByRole('region', { name: 'Staleness audit' })
  await audit.getByText('No hit differed').waitFor()
  await shop.client.get('/products/1')
  await shop.write('/stock/1')
  await shop.until('the forgotten write is found', ({ different }) => different > 0)
  await audit.getByText('body at /stock').waitFor()
  await audit.getByText('PATCH /stock/1').waitFor()
  await audit.getByText('product:1').waitFor()
  assert.equal(await audit.getByText('No hit differed').isVisible(), false)
  assert.deepEqual(complaints, [])
})

it('the page of a cache that is not audited has no such panel', async (t) => {
  const shop = await startShop(t)
  const { page } = await shop.open()
  await page.getByRole('status').getByText('Live').waitFor()
  await page.getByRole('rowheader', { name: '/search' }).waitFor()
  assert.equal(await page.getByRole('region', { name: 'Staleness audit' }).count(), 0)
})
