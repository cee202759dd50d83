// What goes wrong while the fleet is under load: one fault after the other, as long as the load lasts.
import { setTimeout as pause } from 'node:timers/promises'

import { killFollowers } from '../invalidation/log-process.ts'
import type { Fleet } from './fleet.ts'

const FROZEN_MS = 1000
/** Longer than the lease of 2 s. */
const STALL_MS = 2500
/** Between two faults: some of the next come while the fleet still recovers. */
const RESPITE_MS = 400

export type Fault = (fleet: Fleet) => Promise<unknown>

const anyOf = <T>(list: readonly T[]): T => list[Math.floor(Math.random() * list.length)]!

export const FAULTS: Record<string, Fault> = {
  'the followers are killed': ({ raw }) => Promise.all(raw.map(killFollowers)),
  'the scripts are flushed': ({ raw }) => Promise.all(raw.map((each) => each.script('FLUSH'))),
  'Redis is frozen for a second': async ({ servers }) => {
    const server = anyOf(servers)
    server.freeze()
    await pause(FROZEN_MS)
    server.thaw()
  },
  'a process is killed and started again': (fleet) => fleet.restart(fleet.anyWorker()),
  'all connections are cut': ({ raw }) =>
    Promise.all(raw.map((each) => each.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes'))),
  'an event loop stands still': (fleet) =>
    fleet.workers[fleet.anyWorker()]!.process.ask('stall', STALL_MS),
  'Redis comes back empty': ({ servers }) => anyOf(servers).restart(),
}

/** Each fault once, in their order. */
export async function everyFault(fleet: Fleet): Promise<void> {
  for (const [name, fault] of Object.entries(FAULTS)) {
    fleet.fault = name
    await fault(fleet)
    await pause(RESPITE_MS)
  }
  fleet.fault = undefined
}
