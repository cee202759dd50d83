import { Glob } from './glob.ts'
import type { Fenced } from './log.ts'
import { type Named, globOf, namedBy } from './tags.ts'

/** Patterns of which each process knows the last invalidation; beyond it the oldest raise the floor. */
const MAX_PATTERNS = 1000

interface Pattern {
  readonly seq: number
  readonly about: Named['about']
  /** Undefined for what cannot be read: it matches everything. */
  readonly glob: Glob | undefined
  /** When it came here, counted: what came with a lower seq may have come later. */
  readonly arrived: number
}

/**
 * The patterns that were invalidated, as tags of the log. No entry carries them: which ones it would
 * have to carry is worked out for those that came since it was computed, and once for each.
 */
export class LogPatterns {
  /** By tag, in the order of their arrival. */
  readonly #patterns = new Map<string, Pattern>()
  #arrivals = 0
  #highest = 0
  /** Of entries: the last arrival that was found not to match them, as none before. */
  readonly #unmatched = new WeakMap<Fenced, number>()

  /** What is no pattern is left alone. The seq below which nothing is known any more, if it rose. */
  note(tag: string, seq: number): number | undefined {
    const named = globOf(tag)
    if (named === undefined) return undefined
    const known = this.#patterns.get(tag)
    this.#patterns.delete(tag)
    this.#patterns.set(tag, {
      seq: Math.max(seq, known?.seq ?? 0),
      about: named.about,
      glob: known === undefined ? Glob.parse(named.glob) : known.glob,
      arrived: ++this.#arrivals,
    })
    this.#highest = Math.max(this.#highest, seq)
    return this.#patterns.size > MAX_PATTERNS ? this.#dropOldest() : undefined
  }

  /** The table has forgotten the tag. */
  forget(tag: string): void {
    this.#patterns.delete(tag)
  }

  /** Whether none that was invalidated after the entry's position matches it. */
  allow(entry: Fenced): boolean {
    if (this.#highest <= entry.seq) return true
    const seen = this.#unmatched.get(entry) ?? 0
    if (seen === this.#arrivals) return true
    const names = namedBy(entry.tags)
    for (const pattern of this.#patterns.values()) {
      const isNews = pattern.arrived > seen && pattern.seq > entry.seq
      if (isNews && matches(pattern, names)) return false
    }
    this.#unmatched.set(entry, this.#arrivals)
    return true
  }

  /** Those that match the entry, as tags. */
  of(entry: Fenced): string[] {
    if (this.#highest <= entry.seq) return []
    const names = namedBy(entry.tags)
    const tags: string[] = []
    for (const [tag, pattern] of this.#patterns) {
      if (pattern.seq > entry.seq && matches(pattern, names)) tags.push(tag)
    }
    return tags
  }

  #dropOldest(): number {
    let highest = 0
    for (const [tag, { seq }] of this.#patterns) {
      if (this.#patterns.size <= MAX_PATTERNS * 0.9) break
      this.#patterns.delete(tag)
      highest = Math.max(highest, seq)
    }
    return Math.ceil(highest)
  }
}

function matches({ about, glob }: Pattern, names: readonly Named[]): boolean {
  if (glob === undefined) return true
  return names.some((name) => {
    if (name.about !== about) return false
    return name.isWhole ? glob.matches(name.text) : glob.mayContinue(name.text)
  })
}
