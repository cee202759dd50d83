import type { Peer } from './peers.ts'
import type { Stage } from './stage.ts'

/** One row: a question that is asked over HTTP, and the answer in a word or two. */
export interface Check {
  title: string
  /** Which peers it means something for; the others have a dash. @default all that keep anything */
  means?: (peer: Peer) => boolean
  /** In the short table, too. */
  brief?: true
  run: (stage: Stage) => Promise<string>
}

export const keepsResponses = (peer: Peer): boolean => peer.keeps === 'responses' && keeps(peer)
export const isShared = (peer: Peer): boolean => peer.shared
/** This one keeps entity tags only. */
export const keeps = (peer: Peer): boolean => peer.name !== '@fastify/caching'

export const NOTHING = '—'
