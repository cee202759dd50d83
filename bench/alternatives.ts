// What other caches do, asked over HTTP: `npm run alternatives`, see docs/alternatives.md.
import { parseArgs } from 'node:util'

import { type Check, NOTHING, keeps } from './alternatives/check.ts'
import { INVALIDATION } from './alternatives/checks/invalidation.ts'
import { LOAD } from './alternatives/checks/load.ts'
import { PEOPLE } from './alternatives/checks/people.ts'
import { REDIS_AWAY } from './alternatives/checks/redis-away.ts'
import { RESPONSES } from './alternatives/checks/responses.ts'
import { install } from './alternatives/install.ts'
import { PEERS, type Peer, REFUSES } from './alternatives/peers.ts'
import { speed } from './alternatives/speed.ts'
import { Outcome, Stage } from './alternatives/stage.ts'
import { pages } from './alternatives/table.ts'

const { values: options } = parseArgs({
  options: {
    peer: { type: 'string', multiple: true },
    check: { type: 'string' },
    entries: { type: 'string', default: '20000' },
    markdown: { type: 'boolean', default: false },
    speed: { type: 'boolean', default: false },
  },
})

const CHECKS: readonly Check[] = [...RESPONSES, ...PEOPLE, ...INVALIDATION, ...LOAD, ...REDIS_AWAY]

async function answer(check: Check, peer: Peer): Promise<string> {
  if (!(check.means ?? keeps)(peer)) return NOTHING
  const stage = new Stage(peer, Number(options.entries))
  try {
    return await check.run(stage)
  } catch (error) {
    if (error instanceof Outcome) return error.message
    throw new Error(`${peer.name}: ${check.title}`, { cause: error })
  } finally {
    await stage.end()
  }
}

/** Why it is in no table. */
async function refusal(): Promise<string> {
  const stage = new Stage({ ...REFUSES, keeps: 'responses', shared: false, setUp: '' }, 0)
  try {
    await stage.site()
    return 'starts'
  } catch (error) {
    return /FST_ERR_\w+|expected '[^']*' fastify version/.exec(String(error))?.[0] ?? String(error)
  } finally {
    await stage.end()
  }
}

install((line) => console.error(line))
const asked = options.peer
const peers = PEERS.filter(({ name }) => asked?.includes(name) ?? true)
if (options.speed) {
  for (const peer of peers.filter(keeps))
    console.log(`${peer.name.padEnd(24)} ${await speed(peer)}`)
  process.exit()
}
const checks = CHECKS.filter(({ title }) => title.includes(options.check ?? ''))
const results = new Map<string, Map<string, string>>()
for (const check of checks) {
  const row = new Map<string, string>()
  results.set(check.title, row)
  console.error(`\n${check.title}`)
  for (const peer of peers) {
    row.set(peer.name, await answer(check, peer))
    console.error(`  ${peer.name.padEnd(24)} ${row.get(peer.name)}`)
  }
}
const [own] = Object.entries(REFUSES.packages)
console.error(`\n${own?.join(' ')}: ${await refusal()}`)
if (options.markdown) console.log(pages(checks, peers, results))
process.exit()
