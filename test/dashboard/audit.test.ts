import assert from 'node:assert/strict'
import { it } from 'node:test'

import dashboard from '../../src/dashboard/index.ts'
import type { AuditStats, Problem, State } from '../../src/dashboard/messages.ts'
import type { Client } from '../support/app.ts'
import { startShop } from '../plugin/audit.ts'
import { PREFIX, startDashboard } from './watching.ts'

async function get<Told>(client: Client, name: string): Promise<Told> {
  return JSON.parse((await client.get(`${PREFIX}/api/${name}`)).text) as Told
}

it('the dashboard tells what the staleness audit found, and its counts each second', async (t) => {
  const shop = await startShop(t, {
    build: (app) => app.register(dashboard, { prefix: PREFIX, unprotected: true }),
  })
  const none = await get<State>(shop.client, 'state')
  assert.deepEqual(none.audit, { checked: 0, same: 0, different: 0, failed: 0 })
  await shop.client.get('/products/1')
  await shop.write('/stock/1')
  await shop.until('the forgotten write is found', ({ different }) => different > 0)
  const { audit } = await get<State>(shop.client, 'state')
  assert.ok(audit!.different > 0)
  assert.deepEqual(Object.keys(audit!), ['checked', 'same', 'different', 'failed'])
  const { findings } = await get<AuditStats>(shop.client, 'audit')
  assert.equal(findings[0]!.route, '/products/:id')
  assert.deepEqual(findings[0]!.differs, { pointers: ['/stock'] })
})

it('the dashboard of a cache that is not audited tells nothing of audits', async (t) => {
  const client = await startDashboard(t)
  assert.ok(!('audit' in (await get<State>(client, 'state'))))
  const { statusCode, message } = await get<Problem>(client, 'audit')
  assert.equal(statusCode, 400)
  assert.match(message, /option audit is off/)
})
