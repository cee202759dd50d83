import type { CacheClient } from '../client.ts'
import { type Figures, figuresOf } from '../stats.ts'
import type {
  AuditStats,
  AuditTick,
  InvalidationSeen,
  ProcessState,
  RouteTick,
  Tick,
} from './messages.ts'

/** So many are told each time, and so many tags of each. */
const TOLD_INVALIDATIONS = 50
const TOLD_TAGS = 10
/** Processes tell of themselves every few seconds; asking more often shows nothing new. */
const PROCESSES_EVERY_MS = 2000

/** What the page is told of one cache, and what it was told last. */
export class View {
  readonly name: string
  readonly client: CacheClient
  readonly #figures: Figures
  #told: Record<string, RouteTick> = {}
  #processes: ProcessState[] = []
  #askedAt = -Infinity
  #asking: Promise<void> | undefined

  constructor(name: string, client: CacheClient) {
    this.name = name
    this.client = client
    this.#figures = figuresOf(client)!
  }

  /** With all routes. */
  whole(): Tick {
    return this.#tick(this.#figures.routes())
  }

  /** With the routes that something happened to since this was asked last. */
  changes(): Tick {
    const routes = this.#figures.routes()
    const changed = Object.entries(routes).filter(([route, figures]) =>
      isChanged(this.#told[route], figures),
    )
    this.#told = routes
    return this.#tick(Object.fromEntries(changed))
  }

  route(pattern: string): ReturnType<Figures['route']> {
    return this.#figures.route(pattern)
  }

  audit(): ReturnType<Figures['audit']> {
    return this.#figures.audit()
  }

  /** The position in the log, as this process knows it. */
  get seq(): number {
    return this.#figures.totals().log.seq
  }

  /** Asks for the fleet where that is due; nobody waits for it but who has seen nothing yet. */
  refresh(): Promise<void> {
    const now = performance.now()
    if (this.#asking === undefined && now - this.#askedAt >= PROCESSES_EVERY_MS) {
      this.#askedAt = now
      this.#asking = this.#ask()
    }
    return this.#asking ?? Promise.resolve()
  }

  async #ask(): Promise<void> {
    try {
      this.#processes = await this.client.processes()
    } catch {
      // Trouble with Redis is counted where it happens; what was known is shown.
    } finally {
      this.#asking = undefined
    }
  }

  #tick(routes: Record<string, RouteTick>): Tick {
    const { ageAtHit: _left, ...totals } = this.#figures.totals()
    const audit = this.audit()
    return {
      at: Date.now(),
      stats: { ...totals, routes },
      invalidations: this.client.invalidations().slice(0, TOLD_INVALIDATIONS).map(shortened),
      processes: this.#processes,
      ...(audit && { audit: auditTick(audit) }),
    }
  }
}

function auditTick({ checked, same, different, failed }: AuditStats): AuditTick {
  return { checked, same, different, failed }
}

function shortened(seen: InvalidationSeen): InvalidationSeen {
  const { tags } = seen
  if (tags === 'all' || tags.length <= TOLD_TAGS) return seen
  return { ...seen, tags: tags.slice(0, TOLD_TAGS) }
}

const COUNTERS = [
  ...(['hits', 'stale', 'collapsed', 'misses', 'bypassed'] as const),
  ...(['stored', 'notStored', 'savedMs', 'missCount'] as const),
]

function isChanged(before: RouteTick | undefined, now: RouteTick): boolean {
  return before === undefined || COUNTERS.some((name) => before[name] !== now[name])
}
