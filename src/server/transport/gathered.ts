/**
 * A body as its parts come. One whose length was announced is put in place once a sixteenth of it is there: joining tens of
 * megabytes at the end would hold up everybody else, and an announcement alone must not reserve them.
 */
const IN_PLACE_FROM = 1 / 16;
/** Smaller ones are joined in no time. */
const SMALL = 256 * 1024;

export class Gathered {
  readonly #announced: number;
  #parts: Uint8Array[] = [];
  #whole: Buffer | undefined;
  #length = 0;

  /** `announced`: its bytes, 0 where nobody said how many. */
  constructor(announced: number) {
    this.#announced = announced;
  }

  get length(): number {
    return this.#length;
  }

  /** Copies them. */
  add(bytes: Uint8Array): void {
    const before = this.#length;
    this.#length += bytes.length;
    if (this.#whole === undefined && this.#announced >= SMALL && this.#length >= this.#announced * IN_PLACE_FROM) {
      // Not of the pool, and not filled with zeros: the system makes its pages as they are written.
      this.#whole = Buffer.allocUnsafeSlow(this.#announced);
      let at = 0;
      for (const part of this.#parts.splice(0)) {
        this.#whole.set(part, at);
        at += part.length;
      }
    }
    if (this.#whole === undefined) this.#parts.push(Buffer.from(bytes));
    else if (this.#length <= this.#whole.length) this.#whole.set(bytes, before);
    else throw new RangeError('more of a body came than was announced');
  }

  /** What came; it is given up here. */
  take(): Buffer {
    const whole = this.#whole?.subarray(0, this.#length) ?? Buffer.concat(this.#parts, this.#length);
    this.#whole = undefined;
    this.#parts = [];
    this.#length = 0;
    return whole;
  }
}
