import { type Odd, describeValue, isPlain, within } from './odd-value.ts'

/**
 * The first thing in a value that JSON would change without a word: a Date becomes text, a Map `{}`,
 * NaN null, undefined in an object nothing. Only -0, which becomes 0, passes.
 */
export function jsonLoss(value: unknown): Odd | undefined {
  return lossIn(value, [])
}

function lossIn(value: unknown, ancestors: object[]): Odd | undefined {
  if (typeof value === 'string' || typeof value === 'boolean' || value === null) return undefined
  if (typeof value === 'object') return lossInObject(value, ancestors)
  return typeof value === 'number' && Number.isFinite(value) ? undefined : here(value)
}

function here(value: unknown): Odd {
  return { path: '', what: describeValue(value) }
}

function lossInObject(object: object, ancestors: object[]): Odd | undefined {
  const isList = Array.isArray(object)
  if (!isList && !isPlain(object)) return here(object)
  if (ancestors.includes(object)) return { path: '', what: 'a cycle' }
  if (typeof (object as { toJSON?: unknown }).toJSON === 'function') {
    return { path: '', what: 'an object with toJSON()' }
  }
  // Asked of objects only: it is the dearest question here, and nobody puts symbols on a list.
  if (!isList && Object.getOwnPropertySymbols(object).length > 0) {
    return { path: '', what: 'an object with a symbol as a key' }
  }
  ancestors.push(object)
  const loss = isList ? lossInList(object, ancestors) : lossInFields(object, ancestors)
  ancestors.pop()
  return loss
}

function lossInList(list: readonly unknown[], ancestors: object[]): Odd | undefined {
  for (let at = 0; at < list.length; at++) {
    const loss = lossIn(list[at], ancestors)
    if (loss !== undefined) return within(at, loss)
  }
  return undefined
}

function lossInFields(object: object, ancestors: object[]): Odd | undefined {
  // A plain object inherits nothing that would be seen here.
  for (const name in object) {
    const loss = lossIn((object as Record<string, unknown>)[name], ancestors)
    if (loss !== undefined) return within(name, loss)
  }
  return undefined
}
