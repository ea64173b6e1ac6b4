/**
 * How many bytes of one connection are under way on a link. Counted when they are sent; that they were taken is known of
 * the link as a whole alone. Two heaps are enough: the older goes when all of it was taken. At most what is under way is
 * counted double; nothing is done for a connection when bytes are taken.
 */
export class InFlight {
  #older = 0;
  #olderAt = 0;
  #newer = 0;
  #newerAt = 0;

  /** `at`: the link's number after them; `acked`: up to where the other end took what was sent. */
  add(bytes: number, at: number, acked: number): void {
    if (acked >= this.#olderAt) {
      this.#older = acked >= this.#newerAt ? 0 : this.#newer;
      this.#olderAt = this.#newerAt;
      this.#newer = 0;
    }
    this.#newer += bytes;
    this.#newerAt = at;
  }

  count(acked: number): number {
    if (acked >= this.#newerAt) return 0;
    return acked >= this.#olderAt ? this.#newer : this.#older + this.#newer;
  }
}
