// A log of which a test says itself what it knows.
import { LocalLog } from '../../src/invalidation/local-log.ts'

export class FakeLog extends LocalLog {
  /** Whether the lease holds. */
  leased = true
  /** What Redis would say, and what is done while it is asked. */
  confirms = true
  whileConfirming: () => void = () => {}
  questions = 0

  override verified(): boolean {
    return this.leased
  }

  override async confirm(): Promise<boolean> {
    this.questions++
    await Promise.resolve()
    this.whileConfirming()
    if (this.confirms) this.leased = true
    return this.confirms
  }
}
