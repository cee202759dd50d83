import { fork } from 'node:child_process'
import { once } from 'node:events'

import { load } from './load.ts'

/**
 * What a process grows by when its memory tier is filled over HTTP, each URL asked for once: after
 * the first filling, at the most while all is replaced three times more, and at the end after a
 * collection. Beside it the same requests without a cache.
 *
 *     npm run bench:growth [-- MIB OLD_SPACE_MIB]
 */
const [mib = 64, oldSpaceMib] = process.argv.slice(2).map(Number)
const FILLINGS = 4
const MIB = 1024 * 1024
/** What an entry counts beside its body, and a little more. */
const HEAD_BYTES = 3700

interface Usage {
  rss: number
  counted: number | undefined
}

interface Growth {
  first: number
  most: number
  collected: number
  counted: number
}

async function measure(kind: string, bytes: number, maxMib: number): Promise<Growth> {
  const limit = oldSpaceMib === undefined ? [] : [`--max-old-space-size=${oldSpaceMib}`]
  const server = fork(
    new URL('./server.js', import.meta.url),
    ['filled', `${kind}:${bytes}:${maxMib}`],
    { execArgv: ['--expose-gc', ...limit] },
  )
  const [{ port }] = (await once(server, 'message')) as [{ port: number }]
  const ask = async (what: 'usage' | 'collect'): Promise<Usage> => {
    const answer = once(server, 'message')
    server.send(what)
    return (await answer)[0] as Usage
  }
  let next = 0
  await load(port, 500, { path: () => '/warm' })
  const { rss: before } = await ask('collect')
  const count = Math.ceil(((mib * MIB) / (bytes + HEAD_BYTES)) * 1.05)
  const grown: number[] = []
  for (let filling = 0; filling < FILLINGS; filling++) {
    // In parts, as the most is between two collections.
    for (let part = 0; part < 4; part++) {
      await load(port, Math.ceil(count / 4), { path: () => `/products/${next++}?sort=name` })
      grown.push((await ask('usage')).rss - before)
    }
  }
  const { rss, counted = 0 } = await ask('collect')
  server.disconnect()
  await once(server, 'exit')
  return { first: grown[3]!, most: Math.max(...grown), collected: rss - before, counted }
}

const cell = (bytes: number): string => `${Math.round(bytes / MIB)}`.padStart(5)

console.log(
  `Node ${process.version}, memory.maxBytes ${mib} MiB` +
    (oldSpaceMib === undefined ? '' : `, --max-old-space-size=${oldSpaceMib}`),
)
console.log('MiB that the process grew by        cached                     not cached')
console.log('body                 counted  once  most  collected            most  collected')
for (const kind of ['text', 'bytes']) {
  for (const bytes of [200, 2000, 20_000, 200_000]) {
    const ours = await measure(kind, bytes, mib)
    const without = await measure(kind, bytes, 0)
    console.log(
      `${kind.padEnd(5)} ${String(bytes).padStart(7)} bytes   ${cell(ours.counted)} ${cell(ours.first)} ` +
        `${cell(ours.most)}  ${cell(ours.collected)}               ${cell(without.most)}  ${cell(without.collected)}`,
    )
  }
}
