/** A request's target URI (RFC 9110 §7.1), in the parts that a server knows. */
export interface TargetUri {
  protocol: string
  host: string
  /** Path and query. */
  url: string
}

/**
 * The path and query that a Location or Content-Location names, resolved against the target URI.
 * Undefined when it is of another origin: RFC 9111 §4.4 forbids to invalidate that.
 *
 * Resolved as the clients do that follow it, so what they ask for next is what is meant here.
 */
export function sameOriginTarget(
  reference: string,
  { protocol, host, url }: TargetUri,
): string | undefined {
  const base = `${protocol}://${host}${url}`
  // Without a host, as in HTTP/1.0, the path would be read as one.
  if (host === '' || !URL.canParse(base) || !URL.canParse(reference, base)) return undefined
  const { origin, pathname, search } = new URL(reference, base)
  // A scheme that is none of HTTP's has no origin that could be compared.
  return origin !== 'null' && origin === new URL(base).origin ? pathname + search : undefined
}
