import { WriteUnconfirmedError } from './errors.ts'
import type { Receipt } from './invalidation/log.ts'
import { nameOnly } from './invalidation/tags.ts'
import type { LogPosition } from './stored-response.ts'
import type { ValueCache } from './value-cache.ts'
import { type ValuePlan, tagsFor } from './value-options.ts'

/**
 * The source of truth first. What was computed before the write began or while it ran is invalid
 * afterwards, and the written value is kept only if nobody else can have written between.
 */
export async function writeThrough<T>(
  values: ValueCache,
  key: string,
  write: () => T | Promise<T>,
  plan: ValuePlan,
): Promise<T> {
  values.space.nameOf(key)
  const begun = values.cache.log.position
  const value = await write()
  let receipt: Receipt
  try {
    receipt = await values.invalidate([key])
  } catch (error) {
    throw new WriteUnconfirmedError(key, value, error as Error)
  }
  try {
    await keep(values, key, { value, begun, receipt, plan })
  } catch (error) {
    // It is written, and nobody has the old one: that it cannot be kept is no failure of the write.
    values.cache.trouble.report('cache.writeThrough', error)
  }
  return value
}

interface Written {
  value: unknown
  /** Where the log stood when the write began. */
  begun: LogPosition
  receipt: Receipt
  plan: ValuePlan
}

async function keep(values: ValueCache, key: string, written: Written): Promise<void> {
  const { value, begun, receipt, plan } = written
  const body = values.encode(key, value, plan)
  const listed = tagsFor(plan, value)
  // Of two writes at once, which one was last only the source knows: whose invalidation comes second
  // sees that of the first, and keeps nothing.
  const { log } = values.cache
  const isAlone = begun.epoch === receipt.epoch && receipt.before <= begun.seq
  if (!isAlone || log.position.seq < receipt.seq) return
  // Its own invalidation names the key; what else came since the write began may have meant more.
  const { space } = values
  const tags = [...space.tags, ...space.tagsOf(key).map(nameOnly), ...listed]
  if (!log.allows({ ...begun, tags })) return
  values.stats.sets++
  await values.storeAt(key, receipt, { ...plan, listed, tagsOf: undefined }, body)
}
