import { hash } from 'node:crypto'

/**
 * Unambiguous concatenation: every part carries its length (a netstring), so no value can imitate
 * a boundary, and an absent part differs from an empty one.
 */
export function encodePart(part: string | undefined): string {
  return part === undefined ? '-' : `${part.length}:${part}`
}

export function encodeParts(parts: readonly (string | undefined)[]): string {
  let encoded = ''
  for (const part of parts) encoded += encodePart(part)
  return encoded
}

/** sha256 in base64url, 43 characters: an attacker who chooses the input cannot make two collide. */
export function digest(encoded: string): string {
  // A lone surrogate is lost in UTF-8, and with it the difference between two texts.
  if (!encoded.isWellFormed()) return hash('sha256', Buffer.from(encoded, 'utf16le'), 'base64url')
  return hash('sha256', encoded, 'base64url')
}
