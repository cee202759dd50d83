/**
 * A name as searches compare it: without case and accents, so that `reykjavik` finds Reykjavík.
 * Stored beside the name, because PostgreSQL has no such function without an extension.
 */
export function searchName(name: string): string {
  return name.normalize('NFD').replace(/\p{M}/gu, '').toLowerCase()
}
