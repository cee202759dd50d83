import type { Difference } from './audit-comparison.ts'
import type { AuditedWrite } from './audit-writes.ts'

/** A hit that was not what the handler answers, although nothing that it depends on was invalidated. */
export interface AuditFinding {
  /** The pattern of the route. */
  route: string
  /** Without the query. */
  path: string
  /** The tags of what was served. */
  tags: string[]
  /** When it was found last; epoch milliseconds. */
  at: number
  /** Seconds since what was served was stored. */
  age: number
  /** Where the two answers differ; never what is there. */
  differs: Difference
  /**
   * Writes that this process has answered since, at most 10: first those whose paths have most in
   * common, of equal ones the newest. None of them invalidated what was served.
   */
  recentWrites: AuditedWrite[]
  /** How often the same was found on this route, numbers in the pointers aside. */
  count: number
  /** When it was found first; epoch milliseconds. */
  firstAt: number
}

export type Found = Omit<AuditFinding, 'count' | 'firstAt' | 'recentWrites'>

const MAX_FINDINGS = 50
const MAX_WRITES = 10
const MAX_SHOWN = 10
/** Kinds of findings that were logged; what comes after so many is in `stats()` only. */
const MAX_LOGGED = 200
const MAX_POINTER_LENGTH = 200

/** What was found, each kind once; of too many kinds those of late. */
export class AuditFindings {
  readonly #note: (message: string) => void
  readonly #byKind = new Map<string, AuditFinding>()
  readonly #logged = new Set<string>()

  constructor(note: (message: string) => void) {
    this.#note = note
  }

  add(found: Found, writes: readonly AuditedWrite[]): void {
    const kind = kindOf(found)
    const known = this.#byKind.get(kind)
    const finding: AuditFinding = {
      ...found,
      differs: shown(found.differs),
      recentWrites: likely(found.path, writes),
      count: (known?.count ?? 0) + 1,
      firstAt: known?.firstAt ?? found.at,
    }
    this.#byKind.delete(kind)
    this.#byKind.set(kind, finding)
    const [oldest] = this.#byKind.keys()
    if (this.#byKind.size > MAX_FINDINGS) this.#byKind.delete(oldest!)
    if (this.#logged.has(kind) || this.#logged.size >= MAX_LOGGED) return
    this.#logged.add(kind)
    this.#note(textOf(finding))
  }

  /** The newest first. */
  list(): AuditFinding[] {
    return structuredClone([...this.#byKind.values()].reverse())
  }
}

function kindOf({ route, differs: { status, fields, pointers, offset } }: Found): string {
  const places = new Set(pointers?.map((pointer) => pointer.replace(/\/\d+(?=\/|$)/g, '/*')))
  return JSON.stringify([route, status, fields, [...places], offset !== undefined])
}

function shown({ pointers, ...rest }: Difference): Difference {
  if (pointers === undefined) return rest
  const short = pointers.slice(0, MAX_SHOWN).map((each) => each.slice(0, MAX_POINTER_LENGTH))
  return { ...rest, pointers: short }
}

/** What is about the same thing has parts of its path in common: `/products/7` and `/stock/7`. */
function likely(path: string, writes: readonly AuditedWrite[]): AuditedWrite[] {
  const parts = partsOf(path)
  const common = (write: AuditedWrite): number =>
    partsOf(write.path).filter((part) => parts.includes(part)).length
  return writes.toSorted((one, other) => common(other) - common(one)).slice(0, MAX_WRITES)
}

function partsOf(path: string): string[] {
  return [...new Set(path.split('/'))].filter((part) => part !== '')
}

function textOf({ route, path, tags, age, differs, recentWrites }: AuditFinding): string {
  const [write] = recentWrites
  const since =
    write === undefined
      ? 'this process has answered no write since'
      : `the likeliest write since: ${write.method} ${write.route}, ` +
        (write.tags.length === 0 ? 'which invalidated nothing' : `of ${list(write.tags)}`)
  return (
    `${route}: a hit differs from what the handler answers: ${placesOf(differs)}; ` +
    `${path} was stored ${age} s ago with ${tags.length === 0 ? 'no tags' : `the tags ${list(tags)}`}, ` +
    `and ${since}`
  )
}

function placesOf({ status, fields, pointers, offset }: Difference): string {
  if (status !== undefined) return `status ${status.served}, now ${status.now}`
  const parts: string[] = []
  if (fields !== undefined) parts.push(`fields ${list(fields)}`)
  if (pointers !== undefined) parts.push(`body at ${list(pointers.map((each) => each || 'all'))}`)
  if (offset !== undefined) parts.push(`body from byte ${offset}`)
  return parts.join('; ')
}

function list(names: readonly string[]): string {
  const rest = names.length > 5 ? ` and ${names.length - 5} more` : ''
  return `${names.slice(0, 5).join(', ')}${rest}`
}
