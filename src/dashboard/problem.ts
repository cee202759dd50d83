import { STATUS_CODES } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'

import type { Problem } from './messages.ts'

/** Errors of this package whose status is that of a request, not of a registration. */
const STATUSES: Readonly<Record<string, number>> = {
  FST_RESPONSE_CACHE_INVALID_ARGUMENT: 400,
  FST_RESPONSE_CACHE_INVALID_OPTION: 400,
}
const OWN = 'FST_RESPONSE_CACHE_'

interface Thrown {
  statusCode?: unknown
  code?: unknown
  message?: unknown
}

/**
 * Errors as the page understands them, whatever the application makes of its own. What failed
 * inside is logged and not told.
 */
export async function answerError(
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<void> {
  const { code, message, ...thrown } = read(error)
  const statusCode = STATUSES[code] ?? thrown.statusCode
  const isTold = statusCode < 500 || code.startsWith(OWN)
  if (!isTold) request.log.error({ err: error }, 'the dashboard failed')
  await sendProblem(reply, statusCode, isTold ? message : 'It failed; the log says why.')
}

function read(error: unknown): { statusCode: number; code: string; message: string } {
  const { statusCode, code, message } = Object(error) as Thrown
  const isStatus =
    Number.isInteger(statusCode) && Number(statusCode) >= 400 && Number(statusCode) < 600
  return {
    statusCode: isStatus ? Number(statusCode) : 500,
    code: typeof code === 'string' ? code : '',
    message: typeof message === 'string' ? message : '',
  }
}

export async function sendProblem(
  reply: FastifyReply,
  statusCode: number,
  message: string,
): Promise<void> {
  const problem: Problem = { statusCode, error: STATUS_CODES[statusCode] ?? 'Error', message }
  reply.code(statusCode)
  return sendJson(reply, problem)
}

/** As text: serializers of the application have no say. */
export async function sendJson(reply: FastifyReply, value: unknown): Promise<void> {
  reply.type('application/json; charset=utf-8').header('cache-control', 'no-store')
  return reply.send(JSON.stringify(value))
}
