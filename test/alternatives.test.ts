import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

import { PEERS, REFUSES } from '../bench/alternatives/peers.ts'
import { setUps } from '../bench/alternatives/table.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/alternatives.md'), 'utf8')

test('the page of the alternatives names the versions and set-ups that its command uses', () => {
  assert.ok(page.includes(setUps(PEERS)), `docs/alternatives.md lacks:\n${setUps(PEERS)}`)
  const [name, version] = Object.entries(REFUSES.packages)[0]!
  assert.ok(page.includes(`${name} ${version}`))
})

test('the tables of the alternatives have a column for each version that is installed', () => {
  for (const { packages } of PEERS) {
    const [first] = Object.entries(packages)
    if (first !== undefined) assert.ok(page.includes(`| ${first.join(' ')} |`), first.join(' '))
  }
})
