import { type InnerList, type Item, parseDictionary } from 'structured-headers'

import { parseCacheControl } from './cache-control.ts'
import { type Argument, type CacheControl, addDirective, noDirectives } from './directives.ts'
import type { FieldValue } from './fields.ts'
import type { FieldReader } from './storability.ts'

/** What a response says about its own caching. */
export interface StatedPolicy {
  readonly directives: CacheControl
  /** Undefined also when a targeted field stands in its place. */
  readonly expires: FieldValue | undefined
}

/**
 * RFC 9213 §2.2: the first field of the target list that is valid and not empty decides, and then
 * Cache-Control and Expires are ignored. `targets` are field names in lower case.
 */
export function statedPolicy(field: FieldReader, targets: readonly string[]): StatedPolicy {
  for (const name of targets) {
    const value = field(name)
    const directives = value === undefined ? undefined : parseTargetedField(value)
    if (directives !== undefined) return { directives, expires: undefined }
  }
  return { directives: parseCacheControl(field('cache-control')), expires: field('expires') }
}

/**
 * Parses a targeted field (RFC 9213 §2.1); undefined when it is empty or no dictionary. A directive
 * with a value of a type that is not its own is read as in Cache-Control one that cannot be read.
 */
export function parseTargetedField(value: FieldValue): CacheControl | undefined {
  const text = typeof value === 'object' ? value.join(', ') : String(value)
  try {
    const members = parseDictionary(text)
    if (members.size === 0) return undefined
    const decimals = text.includes('.') ? decimalMembers(text) : undefined
    const directives = noDirectives()
    for (const [name, member] of members) {
      addDirective(directives, name, !decimals?.has(name) && argumentOf(name, member))
    }
    return Object.freeze(directives)
  } catch {
    return undefined
  }
}

/** Directives whose argument is a String, a list of field names; those of all others are Integers. */
const WITH_FIELD_NAMES = new Set(['no-cache', 'private'])

function argumentOf(name: string, member: Item | InnerList): Argument {
  const [value] = member
  if (value === true) return true
  if (typeof value === 'number') return String(value)
  return typeof value === 'string' && WITH_FIELD_NAMES.has(name) && value
}

/**
 * RFC 9213 §2.1: who reads a Decimal as an Integer differs from other caches. The parser gives the
 * same number for `60` and `60.0`, so the text has to tell; it is known to be a dictionary by now.
 */
function decimalMembers(text: string): Set<string> {
  const decimals = new Set<string>()
  for (const member of text.replace(/"[^"\\]*(?:\\.[^"\\]*)*"/g, '""').split(',')) {
    const [, name, digits] = /^\s*([^=;]+)=-?([\d.]+)/.exec(member) ?? []
    // The last one of a name counts (RFC 9651 §4.2.2).
    if (digits?.includes('.')) decimals.add(name!)
    else if (name !== undefined) decimals.delete(name)
  }
  return decimals
}
