/** One step of a pattern: a code point, any one, any number of any, or one of a set. */
type Step = number | 'one' | 'any' | CharacterSet

interface CharacterSet {
  readonly negated: boolean
  /** First and last code points, inclusive. */
  readonly ranges: readonly (readonly [number, number])[]
}

const MAX_HEAD = 64

/**
 * A pattern as Redis knows them: `*` any number of characters, `/` too; `?` one; `[abc]`, `[a-z]`,
 * `[^a]` or `[!a]` one of a set; `\` takes the meaning from what follows. Characters are code points.
 */
export class Glob {
  readonly #steps: readonly Step[]
  /** The beginning of every text that matches: most patterns and names differ there already. */
  readonly #head: string

  private constructor(steps: readonly Step[]) {
    this.#steps = steps
    // No more than that: a record from elsewhere may be longer than a call may have arguments.
    const start = steps.slice(0, MAX_HEAD)
    const end = start.findIndex((step) => typeof step !== 'number')
    this.#head = String.fromCodePoint(...((end < 0 ? start : start.slice(0, end)) as number[]))
  }

  /** Undefined where a set is not closed, or nothing follows a `\`. */
  static parse(pattern: string): Glob | undefined {
    const signs = Array.from(pattern)
    const steps: Step[] = []
    for (let at = 0; at < signs.length; at++) {
      const sign = signs[at]!
      if (sign === '*') {
        if (steps.at(-1) !== 'any') steps.push('any')
      } else if (sign === '?') steps.push('one')
      else if (sign === '[') {
        const set = readSet(signs, at + 1)
        if (set === undefined) return undefined
        steps.push(set.step)
        at = set.end
      } else {
        const literal = sign === '\\' ? signs[++at] : sign
        if (literal === undefined) return undefined
        steps.push(literal.codePointAt(0)!)
      }
    }
    return new Glob(steps)
  }

  matches(text: string): boolean {
    return text.startsWith(this.#head) && this.#walk(text, false)
  }

  /** Whether some text that begins so matches. */
  mayContinue(start: string): boolean {
    return this.#walk(start, true)
  }

  /**
   * Where a star has matched too little it takes one more character; stars before it need no other
   * try, so the time is bounded by the lengths of text and pattern multiplied.
   */
  #walk(text: string, isStart: boolean): boolean {
    const steps = this.#steps
    let [at, step, starAt, starStep] = [0, 0, 0, -1]
    while (at < text.length) {
      const expected = steps[step]
      const point = text.codePointAt(at)!
      if (expected === 'any') {
        starStep = step++
        starAt = at
        // Whatever follows, something can be appended that matches it.
        if (isStart) return true
      } else if (expected !== undefined && accepts(expected, point)) {
        step++
        at += widthOf(point)
      } else if (starStep >= 0) {
        starAt += widthOf(text.codePointAt(starAt)!)
        at = starAt
        step = starStep + 1
      } else return false
    }
    if (isStart) return true
    while (steps[step] === 'any') step++
    return step === steps.length
  }
}

function widthOf(point: number): number {
  return point > 0xffff ? 2 : 1
}

function accepts(step: Exclude<Step, 'any'>, point: number): boolean {
  if (typeof step === 'number') return step === point
  if (step === 'one') return true
  return step.ranges.some(([first, last]) => point >= first && point <= last) !== step.negated
}

function readSet(
  signs: readonly string[],
  start: number,
): { step: CharacterSet; end: number } | undefined {
  const negated = signs[start] === '^' || signs[start] === '!'
  const ranges: [number, number][] = []
  let at = negated ? start + 1 : start
  const next = (): number | undefined => {
    if (signs[at] === '\\') at++
    return signs[at++]?.codePointAt(0)
  }
  while (signs[at] !== ']') {
    const first = next()
    if (first === undefined) return undefined
    let last = first
    if (signs[at] === '-' && signs[at + 1] !== ']') {
      at++
      const end = next()
      if (end === undefined) return undefined
      last = end
    }
    ranges.push([Math.min(first, last), Math.max(first, last)])
  }
  return { step: { negated, ranges }, end: at }
}
