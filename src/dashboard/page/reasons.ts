export interface ReasonShare {
  reason: string
  count: number
  /** Of all of its group. */
  share: number
}

/** The most frequent first; what never happened is left out. */
export function rankReasons(counts: Partial<Record<string, number>>): ReasonShare[] {
  const entries = Object.entries(counts).map(([reason, count]) => ({ reason, count: count ?? 0 }))
  const all = entries.reduce((sum, { count }) => sum + count, 0)
  return entries
    .filter(({ count }) => count > 0)
    .sort((one, other) => other.count - one.count || (one.reason < other.reason ? -1 : 1))
    .map(({ reason, count }) => ({ reason, count, share: count / all }))
}
