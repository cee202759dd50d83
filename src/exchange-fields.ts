import type { FastifyReply } from 'fastify'

import type { Fields } from './http/fields.ts'

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

/** Whether anybody has set a field past Fastify. */
export function hasRawFields({ raw }: FastifyReply): boolean {
  return raw.getHeaderNames().length > 0
}
