/** More are not named: two documents with so little in common are two documents. */
export const MAX_POINTERS = 100

interface Place {
  readonly one: unknown
  readonly other: unknown
  readonly pointer: string
  readonly depth: number
  /** Those that may still come to be ignored below here. */
  readonly ignored: readonly (readonly string[])[]
}

/**
 * Where two parsed documents differ, as JSON pointers (RFC 6901) in the order of the first. Of arrays of
 * different lengths the array itself is named: what is in the same place of both is not the same thing.
 * The order of members says nothing (RFC 8259 §4). Without recursion: bodies are as deep as they like.
 */
export function jsonDifferences(
  one: unknown,
  other: unknown,
  ignored: readonly (readonly string[])[] = [],
): string[] {
  const found: string[] = []
  const open: Place[] = [{ one, other, pointer: '', depth: 0, ignored }]
  while (open.length > 0 && found.length < MAX_POINTERS) {
    const place = open.pop()!
    if (place.one === place.other) continue
    const inside = membersOf(place)
    if (inside === undefined) found.push(place.pointer)
    else for (const member of inside.reverse()) open.push(member)
  }
  return found
}

/** Whether the one is the other or is within it. */
export function isWithin(pointer: string, outer: string): boolean {
  return pointer === outer || pointer.startsWith(`${outer}/`)
}

/** As RFC 6901 writes it, member by member. */
export function pointerTo(members: readonly string[]): string {
  return members.map((name) => `/${name.replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}

/** What is to be compared inside; undefined where the two differ as a whole. */
function membersOf(place: Place): Place[] | undefined {
  const { one, other } = place
  if (!isContainer(one) || !isContainer(other) || Array.isArray(one) !== Array.isArray(other)) {
    return undefined
  }
  if (Array.isArray(one) && one.length !== (other as unknown as unknown[]).length) return undefined
  const members: Place[] = []
  const names = new Set([...Object.keys(one), ...Object.keys(other)])
  for (const name of names) {
    const member = memberOf(place, name)
    if (member !== undefined) members.push(member)
  }
  return members
}

/** Undefined where it is to be ignored. */
function memberOf({ one, other, pointer, depth, ignored }: Place, name: string): Place | undefined {
  const below = ignored.filter((each) => each[depth] === name || each[depth] === '*')
  if (below.some((each) => each.length === depth + 1)) return undefined
  return {
    one: valueOf(one as object, name),
    other: valueOf(other as object, name),
    pointer: `${pointer}${pointerTo([name])}`,
    depth: depth + 1,
    ignored: below,
  }
}

/** JSON knows no undefined: what is there differs from what is not. */
function valueOf(container: object, name: string): unknown {
  return Object.hasOwn(container, name) ? (container as Record<string, unknown>)[name] : undefined
}

function isContainer(value: unknown): value is object {
  return value !== null && typeof value === 'object'
}
