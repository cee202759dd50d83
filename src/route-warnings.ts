import { isUniqueField, meantField } from './http/request-fields.ts'
import type { Policy } from './policy.ts'

/** What the tiers take. */
interface Room {
  /** The largest entry of the tier in memory; undefined where there is Redis, which takes all. */
  readonly maxEntryBytes: number | undefined
}

/** Routes that do something else than whoever wrote their options will have meant: each in one line. */
export class RouteWarnings {
  readonly #routes: { readonly methods: readonly string[]; readonly policy: Policy }[] = []

  note(methods: readonly string[], policy: Policy): void {
    if (methods.includes('GET') || methods.includes('HEAD')) this.#routes.push({ methods, policy })
  }

  /** Once all routes are declared. */
  take(room: Room): string[] {
    const filled = new Set(
      this.#routes
        .filter(({ methods }) => methods.includes('GET'))
        .map(({ policy }) => policy.identity),
    )
    const warnings = new Set<string>()
    for (const { policy } of this.#routes) {
      if (!filled.has(policy.identity)) warnings.add(neverFilled(policy))
      for (const warning of ofPolicy(policy, room)) warnings.add(`${policy.route}: ${warning}`)
    }
    this.#routes.length = 0
    return [...warnings]
  }
}

/** Each as long as it takes to say what, why and the fix. */
function ofPolicy(policy: Policy, { maxEntryBytes = Infinity }: Room): string[] {
  const { vary, maxBytes } = policy
  const warnings: string[] = []
  for (const name of vary.headers) {
    const meant = meantField(name)
    if (meant !== undefined) {
      warnings.push(`vary.headers has '${name}', which no client sends; did you mean '${meant}'?`)
    }
    if (isUniqueField(name)) {
      warnings.push(
        `vary.headers has '${name}', which is another one in each request, so nothing is ever a hit; ` +
          'leave it out',
      )
    }
  }
  if (maxBytes > maxEntryBytes) {
    warnings.push(
      `maxBytes is ${maxBytes}, but an entry in memory may have ${maxEntryBytes} bytes; ` +
        'raise memory.maxEntryBytes of the plugin',
    )
  }
  return warnings
}

function neverFilled({ route }: Policy): string {
  return (
    `${route}: only HEAD is cached, and HEAD reads what GET has stored, which is nothing; ` +
    'declare the route for GET'
  )
}
