// Several processes behind one page, and a process that goes and comes back.
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { it, type TestContext } from 'node:test'

import { Client } from '../support/app.ts'
import { TestProcess } from '../support/processes.ts'
import { startRedis } from '../support/redis.ts'
import { openDashboard, startTraffic, statusOf } from './app.ts'
import type { ShopOptions } from './shop-process.ts'

const MODULE = join(import.meta.dirname, 'shop-process.js')

async function startProcess(
  t: TestContext,
  options: ShopOptions,
): Promise<{ process: TestProcess; client: Client }> {
  const process = await TestProcess.start(MODULE, options)
  t.after(() => process.stop())
  return { process, client: new Client(await process.ask<number>('port')) }
}

it('the page shows both processes of a fleet, and which of them it asks', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const one = await startProcess(t, { redis: redis.url })
  const two = await startProcess(t, { redis: redis.url })
  const { page, complaints } = await openDashboard(t, one.client.origin)
  const fleet = page.getByRole('region', { name: 'Processes' })
  const rowOf = ({ process }: typeof one): ReturnType<typeof fleet.getByRole> =>
    fleet.getByRole('row', { name: new RegExp(`\\b${process.process.pid}\\b`) })
  await rowOf(two).waitFor()
  await rowOf(one).getByText('this one', { exact: false }).waitFor()
  assert.equal(await rowOf(two).getByText('this one').count(), 0)
  assert.deepEqual(complaints, [])
})

it('an invalidation from the page of one process is a miss in the other', async (t) => {
  const redis = await startRedis()
  t.after(() => redis.stop())
  const one = await startProcess(t, { redis: redis.url })
  const two = await startProcess(t, { redis: redis.url })
  await two.client.get('/products/1')
  assert.equal(await statusOf(two.client, '/products/1'), 'hit')
  const { page } = await openDashboard(t, one.client.origin)
  const form = page.getByRole('region', { name: 'Invalidate', exact: true })
  await form.getByRole('combobox', { name: 'Tag' }).fill('products')
  await form.getByRole('button', { name: 'Preview' }).click()
  await form.getByRole('button', { name: 'Invalidate now' }).click()
  await form.getByText(/Position in the log: 1\b/).waitFor()
  assert.notEqual(await statusOf(two.client, '/products/1'), 'hit')
})

it('the page says when its process is gone, and goes on when it is back', async (t) => {
  const first = await startProcess(t, {})
  const { port } = first.client
  startTraffic(t, first.client)
  const { page } = await openDashboard(t, first.client.origin)
  const status = page.getByRole('status').first()
  await status.getByText('Live').waitFor()
  await page.getByRole('rowheader', { name: '/products/:id', exact: true }).waitFor()
  await page.waitForTimeout(2000) // counters that go back to 0 must be above 0 first

  await first.process.stop()
  await status.getByText('Reconnecting').waitFor()
  const second = await startProcess(t, { port })
  await status.getByText('Live').waitFor()
  await page
    .getByText(new RegExp(`\\b${second.process.process.pid}\\b`))
    .first()
    .waitFor()
  for (let left = 8; left > 0; left--) {
    assert.doesNotMatch(
      await page.locator('main').innerText(),
      /[-−]\d[\d.,]*(\/s| %)|NaN|Infinity/,
    )
    await page.waitForTimeout(300)
  }
})

it('the page says when nothing comes although the connection is open, and goes on when it does', async (t) => {
  const { process, client } = await startProcess(t, {})
  const { page } = await openDashboard(t, client.origin)
  const status = page.getByRole('status').first()
  await status.getByText('Live').waitFor()
  process.freeze()
  await status.getByText('No news').waitFor()
  process.thaw()
  await status.getByText('Live').waitFor()
})
