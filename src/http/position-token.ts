import { createHmac, timingSafeEqual } from 'node:crypto'

/** A place in the invalidation log, as a client carries it: signed, and good for a while. */
export interface PositionToken {
  /** Empty: there is no such place, and what was invalidated may be unknown elsewhere. */
  readonly epoch: string
  readonly seq: number
  /** Epoch milliseconds. */
  readonly expiresAt: number
}

/** Names the form of the token and what it is for: a signature for anything else does not fit. */
const VERSION = 'p1'
const FORM = /^p1\.([0-9a-f]*)\.([0-9a-z]{1,11})\.([0-9a-z]{1,11})\.([\w-]{43})$/
/** What any token is shorter than: longer text is not looked at. */
const MAX_LENGTH = 200

/** All of it may stand in a cookie value and in a header field (RFC 6265 §4.1.1). */
export function formatPosition(
  { epoch, seq, expiresAt }: PositionToken,
  audience: string,
  secret: string,
): string {
  const claim = `${VERSION}.${epoch}.${seq.toString(36)}.${Math.ceil(expiresAt / 1000).toString(36)}`
  return `${claim}.${signature(claim, audience, secret)}`
}

/** What the token says if one of the secrets has signed it for this audience, expired or not. */
export function parsePosition(
  text: string,
  audience: string,
  secrets: readonly string[],
): PositionToken | undefined {
  const parts = text.length > MAX_LENGTH ? null : FORM.exec(text)
  if (parts === null) return undefined
  const [, epoch, seq, expires, mac] = parts as unknown as [string, string, string, string, string]
  const claim = text.slice(0, text.length - mac.length - 1)
  const given = Buffer.from(mac)
  const isSigned = secrets.some((secret) =>
    timingSafeEqual(Buffer.from(signature(claim, audience, secret)), given),
  )
  if (!isSigned) return undefined
  return { epoch, seq: parseInt(seq, 36), expiresAt: parseInt(expires, 36) * 1000 }
}

/** The audience comes last and the claim has no NUL: no other pair makes the same text. */
function signature(claim: string, audience: string, secret: string): string {
  return createHmac('sha256', secret).update(`${claim}\0${audience}`).digest('base64url')
}

/** The only cookie of that name, and the field without it; undefined where there is none, or two. */
export function takeCookie(
  field: string,
  name: string,
): { value: string; rest: string | undefined } | undefined {
  if (!field.includes(name)) return undefined
  let value: string | undefined
  const others: string[] = []
  for (const part of field.split(';')) {
    const equals = part.indexOf('=')
    if (equals === -1 || part.slice(0, equals).trim() !== name) {
      others.push(part)
      continue
    }
    if (value !== undefined) return undefined
    value = part.slice(equals + 1).trim()
  }
  if (value === undefined) return undefined
  const rest = others.join(';').trim()
  return { value, rest: rest === '' ? undefined : rest }
}
