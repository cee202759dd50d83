import type {
  AuditStats,
  Entry,
  EntryRequest,
  ExplainRequest,
  Explanation,
  InvalidateRequest,
  Invalidated,
  InvalidationPreview,
  Problem,
  RouteState,
  TagState,
} from '../messages.ts'

/** An answer that is no success, in the words of the server. */
export class ApiError extends Error {
  override readonly name = 'ApiError'
}

/** What the server is asked; all paths are relative to the page. */
export class Api {
  /** The cache that is asked about. */
  cache: string | undefined

  tags(text: string): Promise<TagState[]> {
    return this.#get('api/tags', { q: text })
  }

  route(route: string): Promise<RouteState> {
    return this.#get('api/route', { route })
  }

  audit(): Promise<AuditStats> {
    return this.#get('api/audit', {})
  }

  explain(request: ExplainRequest): Promise<Explanation> {
    return this.#post('api/explain', request)
  }

  entry(request: EntryRequest): Promise<Entry[]> {
    return this.#post('api/entry', request)
  }

  preview(request: InvalidateRequest): Promise<InvalidationPreview> {
    return this.#post('api/preview', request)
  }

  invalidate(request: InvalidateRequest): Promise<Invalidated> {
    return this.#post('api/invalidate', request)
  }

  #get<Answer>(path: string, query: Record<string, string>): Promise<Answer> {
    const search = new URLSearchParams(query)
    if (this.cache !== undefined) search.set('cache', this.cache)
    return ask(`${path}?${search}`)
  }

  #post<Answer>(path: string, request: object): Promise<Answer> {
    const body = this.cache === undefined ? request : { ...request, cache: this.cache }
    return ask(path, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
    })
  }
}

/** Longer than any deadline of the server: it is gone. */
const PATIENCE_MS = 20_000

async function ask<Answer>(path: string, init: RequestInit = {}): Promise<Answer> {
  const response = await fetch(path, { ...init, signal: AbortSignal.timeout(PATIENCE_MS) }).catch(
    (error: unknown) => {
      const isLate = error instanceof Error && error.name === 'TimeoutError'
      throw new ApiError(isLate ? 'The server does not answer.' : 'The server cannot be reached.')
    },
  )
  const answer: unknown = await response.json().catch(() => undefined)
  if (!response.ok) throw new ApiError(problemOf(response, answer))
  if (answer === undefined) throw new ApiError('The answer of the server is no JSON.')
  return answer as Answer
}

function problemOf({ status, statusText }: Response, answer: unknown): string {
  const { message } = (answer ?? {}) as Partial<Problem>
  if (typeof message === 'string' && message !== '') return message
  if (status === 401) return 'The server wants to know who you are: reload the page.'
  return `The server answers ${status} ${statusText}`.trim()
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
