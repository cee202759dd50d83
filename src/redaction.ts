import { inspect } from 'node:util'

import { stdSerializers } from 'pino'

/** A text for the log or an error: without credentials in URLs, and arguments that Redis repeats. */
export function redacted(text: string): string {
  return text
    .replace(/([\w+.-]+:\/{0,2})\S*@/g, '$1***@')
    .replace(/(, with args beginning with:).*/g, '$1 ***')
}

/** What of an error goes into the log. */
export interface LoggedError {
  type: string
  message: string
  stack: string
  code?: string
}

/**
 * Errors of ioredis carry their command with all its arguments: passwords, keys, and what people have
 * stored. So only what is known to be harmless is taken over, and nothing that hangs on the error.
 */
export function loggedError(thrown: unknown): LoggedError {
  const error = asError(thrown)
  const { type, message, stack } = stdSerializers.err(error)
  const { code, errors } = error as { code?: unknown; errors?: unknown }
  // One of several attempts to connect has no message of its own.
  const parts = message === '' && Array.isArray(errors) ? errors.map(textOf) : [message]
  return {
    type,
    message: redacted(parts.join('; ')),
    stack: redacted(textOf(stack)),
    ...(typeof code === 'string' ? { code } : {}),
  }
}

/** Whatever was thrown by code that is not ours. */
export function asError(thrown: unknown): Error {
  return thrown instanceof Error && typeof thrown.message === 'string'
    ? thrown
    : new Error(`thrown was no error: ${inspect(thrown)}`)
}

function textOf(value: unknown): string {
  return typeof value === 'string' ? value : value instanceof Error ? `${value}` : inspect(value)
}
