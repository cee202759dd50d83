import { load } from '../load.ts'
import { OURS, type Peer } from './peers.ts'
import { type Site, Stage } from './stage.ts'

const ROUNDS = 9
const REQUESTS = 4000
const ITEM = '/item/1'

/** Processor time of one request for what is kept, in microseconds. */
async function round(site: Site): Promise<number> {
  const before = await site.ask<number>('usage')
  await load(site.port, REQUESTS, { path: () => ITEM })
  return ((await site.ask<number>('usage')) - before) / REQUESTS
}

const median = (values: number[]): number => values.toSorted((a, b) => a - b)[ROUNDS >> 1]!

/** This package and the peer in turn, so that the machine's moods hit both: medians, and of the ratios. */
export async function speed(peer: Peer): Promise<string> {
  const stage = new Stage(peer, 0)
  try {
    const [ours, theirs] = [await stage.site({}, OURS), await stage.site()]
    const figures = { ours: [] as number[], theirs: [] as number[], ratios: [] as number[] }
    for (const site of [ours, theirs, ours, theirs]) await round(site)
    for (let turn = 0; turn < ROUNDS; turn++) {
      const our = await round(ours)
      const their = await round(theirs)
      figures.ours.push(our)
      figures.theirs.push(their)
      figures.ratios.push(their / our)
    }
    const [our, their] = [median(figures.ours), median(figures.theirs)]
    return `${their.toFixed(1)} µs, ours ${our.toFixed(1)} µs, ratio ${median(figures.ratios).toFixed(2)}`
  } finally {
    await stage.end()
  }
}
