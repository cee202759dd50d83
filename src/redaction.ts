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
export function loggedError(error: Error): LoggedError {
  const { type, message, stack } = stdSerializers.err(error)
  const { code, errors } = error as { code?: unknown; errors?: unknown }
  // One of several attempts to connect has no message of its own.
  const parts = message === '' && Array.isArray(errors) ? errors.map(String) : [message]
  return {
    type,
    message: redacted(parts.join('; ')),
    stack: redacted(stack),
    ...(typeof code === 'string' ? { code } : {}),
  }
}
