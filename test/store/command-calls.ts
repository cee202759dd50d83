// Counts what a server was asked to do, by command.
import type { Redis } from 'ioredis'

/** The commands that the server ran while `action` ran, by name; those of scripts included. */
export async function commandCalls(
  client: Redis,
  action: () => Promise<unknown>,
): Promise<Record<string, number>> {
  await client.config('RESETSTAT')
  await action()
  const calls: Record<string, number> = {}
  for (const line of (await client.info('commandstats')).split('\r\n')) {
    const match = /^cmdstat_([^:]+):calls=(\d+)/.exec(line)
    // The reset itself counts as the first.
    if (match && match[1] !== 'config|resetstat') calls[match[1]!] = Number(match[2])
  }
  return calls
}
