import type { IgnoredParts } from './audit-comparison.ts'
import { isFieldName } from './http/fields.ts'
import { MAX_TIMER_MS, type OptionsReader } from './options-reader.ts'

/** The staleness audit: which hits are computed once more, and what may differ then. */
export interface AuditOptions {
  /** The share of fresh hits that is computed once more, from above 0 to 1. @default 0.01 */
  sample?: number
  /** At most so many of them begin in a second; one runs at a time in any case. @default 1 */
  maxPerSecond?: number
  /**
   * A difference is looked at again after so many milliseconds, and counts only if it is the same then
   * and nothing was invalidated meanwhile: at least as long as a write takes from its commit to its
   * invalidation. @default 1000
   */
  recheckMs?: number
  /** What may differ between two answers that mean the same. */
  ignore?: {
    /** Header fields, beside those that differ by nature (Date, Age, ETag, request ids …). */
    headers?: readonly string[]
    /** Places in JSON bodies with all that is below them, as RFC 6901 writes them; `*` is any member. */
    pointers?: readonly string[]
  }
}

export interface CheckedAudit {
  readonly sample: number
  readonly maxPerSecond: number
  readonly recheckMs: number
  readonly ignored: IgnoredParts
}

export function checkAudit(reader: OptionsReader): CheckedAudit | undefined {
  const value = reader.value('audit')
  if (value === undefined || value === false) return undefined
  if (value !== true && (value === null || typeof value !== 'object')) {
    reader.fail('audit', 'true, false or an object of options')
  }
  const known = ['sample', 'maxPerSecond', 'recheckMs', 'ignore']
  const audit = value === true ? undefined : reader.object('audit', known)
  const ignore = audit?.object('ignore', ['headers', 'pointers'])
  return {
    sample: positive(audit, 'sample', 1) ?? 0.01,
    maxPerSecond: positive(audit, 'maxPerSecond', 1000) ?? 1,
    recheckMs: audit?.integer('recheckMs', 0, MAX_TIMER_MS) ?? 1000,
    ignored: { fields: checkFields(ignore), pointers: checkPointers(ignore) },
  }
}

function positive(
  reader: OptionsReader | undefined,
  name: string,
  most: number,
): number | undefined {
  const value = reader?.value(name)
  if (value === undefined) return undefined
  if (typeof value === 'number' && value > 0 && value <= most) return value
  return reader!.fail(name, `a number above 0 and at most ${most}`)
}

function checkFields(ignore: OptionsReader | undefined): ReadonlySet<string> {
  const names = (ignore?.strings('headers') ?? []).map((name) => name.toLowerCase())
  if (!names.every(isFieldName)) ignore!.fail('headers', 'a list of header names')
  return new Set(names)
}

function checkPointers(ignore: OptionsReader | undefined): string[][] {
  const pointers = ignore?.strings('pointers') ?? []
  if (!pointers.every((pointer) => /^(\/([^/~]|~[01])*)+$/.test(pointer))) {
    ignore!.fail('pointers', "a list of JSON pointers such as '/items/*/updatedAt'")
  }
  return pointers.map((pointer) =>
    pointer
      .slice(1)
      .split('/')
      .map((member) => member.replaceAll('~1', '/').replaceAll('~0', '~')),
  )
}
