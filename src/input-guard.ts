/** Something of a request that a handler has read. */
export interface Input {
  readonly from: 'header' | 'cookie' | 'user' | 'session' | 'ip'
  /** Of header fields and cookies. */
  readonly name: string
}

/** One who reads more has copied them all, and names that clients make up are none for a log. */
const MAX_NAMED = 4
const MAX_SEEN = 100

/** What handlers read that their keys do not cover: said once for each route and name. */
export class InputGuard {
  /** Whether such answers stay out of the cache, or are only told of. */
  readonly refuses: boolean
  readonly #note: (message: string) => void
  readonly #seen = new Map<string, Set<string>>()

  constructor(mode: true | 'warn', note: (message: string) => void) {
    this.refuses = mode === true
    this.#note = note
  }

  report(route: string, inputs: readonly Input[]): void {
    for (const from of ['header', 'cookie'] as const) {
      if (inputs.filter((input) => input.from === from).length <= MAX_NAMED) continue
      this.#reportOnce(route, `request.${from}s as a whole`, 'read only those that it needs')
      inputs = inputs.filter((input) => input.from !== from)
    }
    for (const input of inputs) this.#reportOnce(route, nameOf(input), fixFor(input))
  }

  /** As a handler would write it. */
  seenOn(route: string): Iterable<string> {
    return this.#seen.get(route) ?? []
  }

  #reportOnce(route: string, name: string, fix: string): void {
    let seen = this.#seen.get(route)
    if (seen === undefined) this.#seen.set(route, (seen = new Set()))
    if (seen.has(name) || seen.size >= MAX_SEEN) return
    seen.add(name)
    const so = this.refuses ? ', so its answers are not stored' : ''
    this.#note(`${route}: the handler reads ${name}, which the key does not cover${so}; ${fix}`)
  }
}

function nameOf({ from, name }: Input): string {
  if (from === 'header') return `request.headers['${name}']`
  return from === 'cookie' ? `request.cookies['${name}']` : `request.${from}`
}

const OR_HOOK = 'or read it in a hook where the answer does not depend on it'

function fixFor({ from, name }: Input): string {
  switch (from) {
    case 'header':
      if (name === 'cookie') return `set vary: { cookies } with those that it needs, ${OR_HOOK}`
      return `set vary: { headers: ['${name}'] }, or reply.header('vary', '${name}'), ${OR_HOOK}`
    case 'cookie':
      return `set vary: { cookies: ['${name}'] }, ${OR_HOOK}`
    case 'user':
    case 'session':
      return `set vary: { by } in place of public: true, ${OR_HOOK}`
    case 'ip':
      return `set vary: { by: (request) => request.ip }, ${OR_HOOK}`
  }
}
