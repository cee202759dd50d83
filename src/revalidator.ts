import { AsyncLocalStorage } from 'node:async_hooks'
import type { RequestListener } from 'node:http'

import { BackOff } from './back-off.ts'
import { splitTarget } from './http/cache-key.ts'
import {
  type RefreshContext,
  type RefreshRequest,
  type WhenAnswered,
  sendRefresh,
} from './refresh-request.ts'

export interface RevalidatorOptions {
  /** Where requests enter the application: `app.routing`. */
  dispatch: RequestListener
  now: () => number
  onTrouble: (operation: string, error: Error) => void
  /** Refreshes at the same time, of all keys. */
  maxConcurrent?: number
  /** Keys whose failures are remembered. */
  maxRemembered?: number
  /** Milliseconds that one refresh may take, its whole body included. */
  maxRunMs?: number
  /** Milliseconds that `close` waits for those that are under way. */
  maxCloseMs?: number
}

interface Run {
  readonly request: RefreshRequest
  readonly context: RefreshContext
  readonly permit: Permit | undefined
  timer: NodeJS.Timeout | undefined
  abort: () => void
}

/** Asked before the request is made; false where there is no need for it. Must not reject. */
export type Permit = (context: RefreshContext) => Promise<boolean>

/** How long one refresh may take, its whole body included, in milliseconds. */
export const MAX_REFRESH_MS = 30_000

/** In place of a key. */
const ASIDE = Symbol('aside')
const FIRST_BACK_OFF_MS = 1000
const MAX_BACK_OFF_MS = 60_000

/**
 * Refreshes stored responses in the background: one request of its own to the application, marked
 * (see `refreshOf`), that goes through every hook as a client's does. One at a time for a key; a key
 * whose refresh failed is left alone for a while.
 */
export class Revalidator {
  readonly #options: Required<RevalidatorOptions>
  readonly #runs = new Map<string | symbol, Run>()
  readonly #backOff: BackOff
  // What a request keeps in an AsyncLocalStorage is its user's, and what a refresh makes is for all.
  readonly #outside = AsyncLocalStorage.snapshot()
  #closing: Promise<void> | undefined
  #endAside: (() => void) | undefined
  #onIdle: (() => void) | undefined

  constructor(options: RevalidatorOptions) {
    const defaults = {
      maxConcurrent: 64,
      maxRemembered: 10_000,
      maxRunMs: MAX_REFRESH_MS,
      maxCloseMs: 1000,
    }
    this.#options = { ...defaults, ...options }
    this.#backOff = new BackOff({
      maxKeys: this.#options.maxRemembered,
      firstMs: FIRST_BACK_OFF_MS,
      maxMs: MAX_BACK_OFF_MS,
    })
  }

  /** Requests under way. */
  get running(): number {
    return this.#runs.size
  }

  /** Whether `refresh` would start one: asked first, it spares making the request. */
  accepts(key: string): boolean {
    const { maxConcurrent, now } = this.#options
    if (this.#closing !== undefined || this.#runs.has(key)) return false
    return this.#runs.size < maxConcurrent && !this.#backOff.holds(key, now())
  }

  /** Starts a refresh and does not wait for it; false where there is no need or no room for it. */
  refresh(key: string, request: RefreshRequest, context: RefreshContext, permit?: Permit): boolean {
    if (!this.accepts(key)) return false
    const run: Run = { request, context, permit, timer: undefined, abort: () => {} }
    this.#runs.set(key, run)
    // First the stale response is sent.
    this.#outside(() => setImmediate(() => void this.#start(key, run)))
    return true
  }

  /**
   * Makes a request that refreshes nothing, if no other such is under way; tells how it ended. What
   * comes of it does not touch the refreshes, and `close` does not wait for it.
   */
  aside(request: RefreshRequest, context: RefreshContext, done: WhenAnswered): boolean {
    if (this.#closing !== undefined || this.#endAside !== undefined) return false
    const run: Run = { request, context, permit: undefined, timer: undefined, abort: () => {} }
    const end: WhenAnswered = (outcome) => {
      if (this.#runs.get(ASIDE) !== run) return
      this.#endAside = undefined
      this.#end(ASIDE, run)
      done(outcome)
    }
    const endEarly = (why: string): void => {
      end({ error: new Error(why) })
      run.abort()
    }
    this.#runs.set(ASIDE, run)
    this.#endAside = () => endEarly('it is not needed any more')
    const { dispatch, maxRunMs } = this.#options
    // First the response is sent that is the occasion for it.
    this.#outside(() =>
      setImmediate(() => {
        if (this.#runs.get(ASIDE) !== run) return
        run.timer = setTimeout(endEarly, maxRunMs, `no answer within ${maxRunMs} ms`).unref()
        run.abort = sendRefresh(dispatch, request, context, end)
      }),
    )
    return true
  }

  /** As if its client had gone. */
  endAside(): void {
    this.#endAside?.()
  }

  /** Refuses further refreshes, waits for a moment for those under way, and ends the others. */
  close(): Promise<void> {
    this.endAside()
    this.#closing ??= this.#finish()
    return this.#closing
  }

  async #start(key: string, run: Run): Promise<void> {
    if (run.permit !== undefined && !(await run.permit(run.context))) return this.#end(key, run)
    if (this.#runs.get(key) !== run) return void run.context.lease?.settle('over')
    const { dispatch, maxRunMs } = this.#options
    run.timer = setTimeout(() => {
      this.#settle(key, run, `no complete answer within ${maxRunMs} ms`)
      run.abort()
    }, maxRunMs).unref()
    run.abort = sendRefresh(dispatch, run.request, run.context, (outcome) => {
      this.#settle(key, run, 'error' in outcome ? outcome.error : complaint(outcome.status, run))
    })
  }

  #settle(key: string, run: Run, failure: string | Error | undefined): void {
    if (this.#runs.get(key) !== run) return
    if (failure === undefined) this.#backOff.succeeded(key)
    else this.#fail(key, run, failure)
    // Where the answer was stored it has been settled; other processes leave alone what failed here.
    void run.context.lease?.settle(failure === undefined ? 'over' : 'failed')
    this.#end(key, run)
  }

  #end(key: string | symbol, run: Run): void {
    if (this.#runs.get(key) !== run) return
    this.#runs.delete(key)
    clearTimeout(run.timer)
    if (this.#runs.size === 0) this.#onIdle?.()
  }

  #fail(key: string, { request }: Run, failure: string | Error): void {
    // What fails while everything is being closed says nothing about the next time.
    if (this.#closing !== undefined) return
    const delayMs = this.#backOff.failed(key, this.#options.now())
    const [reason, options] =
      typeof failure === 'string' ? [failure] : [failure.message, { cause: failure }]
    // The query may hold what does not belong in a log.
    const { path } = splitTarget(request.url)
    const text = `the refresh of ${path} failed, none for ${delayMs} ms: ${reason}`
    this.#options.onTrouble('refresh', new Error(text, options))
  }

  async #finish(): Promise<void> {
    if (this.#runs.size > 0) {
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, this.#options.maxCloseMs)
        this.#onIdle = () => {
          clearTimeout(timer)
          resolve()
        }
      })
    }
    for (const run of this.#runs.values()) {
      clearTimeout(run.timer)
      run.abort()
    }
    this.#runs.clear()
  }
}

function complaint(status: number, { context }: Run): string | undefined {
  if (status >= 500) return `status ${status}`
  return context.stored || context.overtaken ? undefined : `status ${status}, nothing was stored`
}
