import { InvalidArgumentError } from '../errors.ts'
import { OptionsReader } from '../options-reader.ts'
import type { EntryRequest, ExplainRequest, InvalidateRequest } from './messages.ts'

const MODES = ['expire', 'soft', 'purge'] as const
const KINDS = ['tag', 'url', 'route', 'pattern'] as const
const MAX_FIELDS = 100
const FIELD_NAME = /^[!#$%&'*+.^_`|~\w-]+$/

/** Bodies and queries, checked as options are: by hand, whatever validator the application has. */
export function readQuery(query: unknown, known: readonly string[]): Record<string, string> {
  const reader = new OptionsReader('query', query, known)
  const given = known.filter((name) => reader.has(name) && reader.value(name) !== '')
  return Object.fromEntries(given.map((name) => [name, reader.text(name)!]))
}

export function readExplain(body: unknown): ExplainRequest {
  return explainOf(new OptionsReader('body', body, ['cache', 'method', 'url', 'headers']))
}

export function readEntry(body: unknown): EntryRequest {
  const reader = new OptionsReader('body', body, ['cache', 'method', 'url', 'headers', 'body'])
  return { ...explainOf(reader), body: reader.flag('body') ?? false }
}

export function readInvalidate(body: unknown): InvalidateRequest {
  const reader = new OptionsReader('body', body, ['cache', 'by', 'value', 'mode'])
  const mode = reader.oneOf('mode', MODES)
  return {
    ...cacheOf(reader),
    by: required(reader, 'by', reader.oneOf('by', KINDS)),
    value: required(reader, 'value', reader.text('value')),
    ...(mode && { mode }),
  }
}

function explainOf(reader: OptionsReader): ExplainRequest {
  return {
    ...cacheOf(reader),
    method: reader.text('method') ?? 'GET',
    url: required(reader, 'url', reader.text('url')),
    headers: headersOf(reader),
  }
}

function cacheOf(reader: OptionsReader): { cache?: string } {
  const cache = reader.text('cache')
  return cache === undefined ? {} : { cache }
}

function required<Value>(reader: OptionsReader, name: string, value: Value | undefined): Value {
  if (value !== undefined) return value
  throw new InvalidArgumentError(`${reader.path(name)} is missing`)
}

function headersOf(reader: OptionsReader): Record<string, string> {
  const given = reader.value('headers') ?? {}
  const fields = Object.entries(Object(given) as object)
  const isFine =
    typeof given === 'object' &&
    !Array.isArray(given) &&
    fields.length <= MAX_FIELDS &&
    fields.every(([name, value]) => FIELD_NAME.test(name) && typeof value === 'string')
  if (!isFine) {
    reader.fail('headers', `an object of at most ${MAX_FIELDS} header fields, each a string`)
  }
  return Object.fromEntries(fields)
}
