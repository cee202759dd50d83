// What a newcomer opens after `npm start`: Swagger UI, and the dashboard under the demo's own traffic.
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, it } from 'node:test'

import { type Demo, startDemo } from '../demo/demo.ts'
import { openPage } from '../support/browser.ts'
import { projectFolder } from '../support/project-folder.ts'

let demo: Demo
before(async () => {
  demo = await startDemo()
})
after(() => demo.end())

it("the demo's /docs lists its routes and sends a request, without an error", async (t) => {
  const origin = demo.line('API')
  const { page, complaints } = await openPage(t, { origin })
  await page.goto(`${origin}/docs`)
  await page.getByRole('button', { name: 'get /countries/{code}' }).first().click()
  await page.getByPlaceholder('code').first().fill('FR')
  await page.getByRole('button', { name: 'Execute' }).click()
  await page.getByText('cache-status').first().waitFor()
  assert.deepEqual(complaints, [])
})

it('the dashboard of the demo opens with the password that is printed, and shows its traffic', async (t) => {
  const origin = demo.line('API')
  const [, url = '', username = '', password = ''] =
    /^(\S+) +user (\S+), password (\S+)/.exec(demo.line('Dashboard')) ?? []
  const { page, complaints } = await openPage(t, {
    origin,
    httpCredentials: { username, password },
  })
  await page.goto(url)
  await page.getByRole('status').getByText('Live').waitFor()

  const traffic = join(projectFolder(), 'build', 'examples', 'demo', 'traffic.js')
  const child = spawn(process.execPath, [traffic, '--url', origin, '--seconds', '4'], {
    stdio: 'ignore',
  })
  const ended = once(child, 'exit')
  for (const route of ['/cities', '/cities/:id']) {
    await page.getByRole('button', { name: route, exact: true }).waitFor()
  }
  assert.deepEqual(await ended, [0, null])
  const hitRate = page.getByRole('definition').filter({ hasText: '%' }).first()
  assert.match(await hitRate.innerText(), /^\d+(\.\d+)? ?%/)
  assert.deepEqual(complaints, [])
})
