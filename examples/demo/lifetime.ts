const BUDGET_MS = 10_000
const SAME_KEYSTROKE_MS = 500

/**
 * The life of a process that owns other things: when it ends, by a signal or by an error, they are
 * closed in the reverse order of their opening, in bounded time.
 */
export interface Lifetime {
  /** Adds something to close. */
  owns: (close: () => Promise<unknown>) => void
  /** Closes everything and ends the process; with a reason, as a failure. */
  end: (failure?: string) => Promise<never>
  isEnding: () => boolean
}

export function beginLifetime(write: (text: string) => void): Lifetime {
  const closers: (() => Promise<unknown>)[] = []
  let ending: Promise<never> | undefined
  let askedAt: number | undefined

  const lifetime: Lifetime = {
    owns: (close) => void closers.unshift(close),
    end: (failure) => (ending ??= endAll(failure)),
    isEnding: () => ending !== undefined,
  }

  async function endAll(failure: string | undefined): Promise<never> {
    if (failure !== undefined) {
      process.exitCode = 1
      process.stderr.write(`${failure}\n`)
    }
    setTimeout(() => {
      process.stderr.write(`Not everything closed within ${BUDGET_MS / 1000} s; ending anyway.\n`)
      process.exit(1)
    }, BUDGET_MS)
    for (const close of closers) {
      await close().catch((error: unknown) => {
        process.exitCode = 1
        process.stderr.write(`${String(error)}\n`)
      })
    }
    return process.exit()
  }

  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
    process.on(signal, () => {
      // Whoever asks a second time does not want to wait; the database ends by itself then. But
      // npm passes a Ctrl+C on that the terminal has sent to this process as well.
      if (askedAt !== undefined && performance.now() - askedAt > SAME_KEYSTROKE_MS)
        process.exit(130)
      if (askedAt === undefined) write(`\nStopping (${signal})…\n`)
      askedAt ??= performance.now()
      void lifetime.end()
    })
  }
  return lifetime
}
