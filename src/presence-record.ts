import type { ProcessState } from './oversight.ts'
import type { Sealing } from './sealing.ts'
import { EPOCH_LENGTH } from './stored-response.ts'

/** How a process tells of itself. */
export interface AnnounceOptions {
  /** In the place of the host's name; 1 to 100 characters. */
  name?: string
}

/** What a process tells of itself. */
export type ToldState = Omit<ProcessState, 'id' | 'self' | 'toldAgoMs' | 'behind'>

const MAX_NAME_LENGTH = 100
/** A host's name may have 253 characters. */
const MAX_HOST_LENGTH = 255
/** What a sealed frame has in the place of an epoch. */
const NO_EPOCH = '0'.repeat(EPOCH_LENGTH)
const BREAKER: ReadonlySet<unknown> = new Set(['closed', 'open', 'half-open', undefined])

export function isProcessName(name: unknown): name is string {
  if (typeof name !== 'string' || name === '') return false
  return name.length <= MAX_NAME_LENGTH && name.isWellFormed()
}

/** As JSON; sealed where there are keys, under the id of the process. */
export function encodeTold(state: ToldState, id: string, sealing: Sealing | undefined): string {
  const text = JSON.stringify(state)
  if (sealing === undefined) return text
  const parts = { head: Buffer.from(text), body: Buffer.alloc(0) }
  return sealing.seal(nameOf(id), { epoch: NO_EPOCH, seq: 0 }, parts).toString('base64url')
}

/** Undefined for anything but what `encodeTold` has made of a state for this id. Never throws. */
export function decodeTold(
  text: string,
  id: string,
  sealing: Sealing | undefined,
): ToldState | undefined {
  const opened =
    sealing === undefined
      ? text
      : sealing.open(nameOf(id), Buffer.from(text, 'base64url'))?.head.toString()
  if (opened === undefined) return undefined
  try {
    return checked(JSON.parse(opened))
  } catch {
    return undefined
  }
}

function nameOf(id: string): string {
  return `process:${id}`
}

function checked(value: unknown): ToldState | undefined {
  const told = Object(value) as ToldState
  const { host, pid, startedAt, seq, sinceVerifiedMs, pendingInvalidations, hitRate } = told
  const isRight =
    typeof host === 'string' &&
    host.length <= MAX_HOST_LENGTH &&
    [pid, startedAt, seq, pendingInvalidations].every(isCount) &&
    (sinceVerifiedMs === undefined || isCount(sinceVerifiedMs)) &&
    typeof hitRate === 'number' &&
    hitRate >= 0 &&
    hitRate <= 1 &&
    BREAKER.has(told.breaker)
  if (!isRight) return undefined
  const { breaker } = told
  return { host, pid, startedAt, seq, sinceVerifiedMs, pendingInvalidations, hitRate, breaker }
}

function isCount(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0
}
