interface Proof {
  readonly seq: number
  /** When Redis was asked. */
  readonly sentAt: number
}

/**
 * Answers of Redis that prove a table complete as soon as it has come to the number that they name.
 * Of those ahead of it the first is kept and the last: each new one in its place would be ahead as
 * well, where many ask and much is invalidated, and nothing would ever be proven.
 */
export class Proofs {
  /**
   * The highest number of this epoch that Redis has named. The answer to a question that was sent
   * since is no lower, unless a failover has lost the end of the log.
   */
  highest = -1
  #first: Proof | undefined
  #last: Proof | undefined

  name(seq: number): void {
    this.highest = Math.max(this.highest, seq)
  }

  add(seq: number, sentAt: number): void {
    this.name(seq)
    const proof = { seq, sentAt }
    if (this.#first === undefined) this.#first = proof
    else if (this.#last === undefined || sentAt >= this.#last.sentAt) this.#last = proof
  }

  /** The table was loaded; what was named before says nothing of it. */
  restart(seq: number, sentAt: number): void {
    this.#first = this.#last = undefined
    this.add(seq, sentAt)
  }

  /** The moment for which a table at this position is complete; -Infinity when nothing is new. */
  take(seq: number): number {
    let provenAt = -Infinity
    while (this.#first !== undefined && this.#first.seq <= seq) {
      provenAt = Math.max(provenAt, this.#first.sentAt)
      this.#first = this.#last
      this.#last = undefined
    }
    return provenAt
  }
}
