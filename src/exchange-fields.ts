import type { FastifyReply } from 'fastify'

import type { FieldValue, Fields } from './http/fields.ts'

let fieldsSymbol: symbol | undefined

/**
 * The header section as it stands, to be looked at and left alone. Usually it is one object of the
 * reply's own, found under its description; `getHeaders()` would copy it twice.
 */
export function currentFields(reply: FastifyReply): Fields {
  fieldsSymbol ??= Object.getOwnPropertySymbols(reply).find(
    (symbol) => symbol.description === 'fastify.reply.headers',
  )
  const own: unknown = fieldsSymbol && (reply as never)[fieldsSymbol]
  const isWhole = typeof own === 'object' && own !== null && !hasRawFields(reply)
  return isWhole ? (own as Fields) : reply.getHeaders()
}

/** One field as it stands, its name in lower case. */
export function currentField(reply: FastifyReply, name: string): FieldValue | undefined {
  const own = fieldsSymbol && ((reply as never)[fieldsSymbol] as Fields | undefined)
  return own === undefined ? reply.getHeader(name) : (own[name] ?? reply.raw.getHeader(name))
}

/** Whether anybody has set a field past Fastify. */
export function hasRawFields({ raw }: FastifyReply): boolean {
  return raw.getHeaderNames().length > 0
}
