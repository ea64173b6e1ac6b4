/**
 * Lines for stdout and stderr that never stop the server: a pipe that nobody reads would block the whole
 * process, one that is gone would end it. Written at once and whole; what nobody takes is left out, and
 * how much that was is told once somebody reads again. Who calls it: serve.ts, main.ts.
 */
import { constants, fstatSync, openSync, writeSync } from 'node:fs';

/** Ms that a line may wait for a reader who is slow. Only the first: one who has stopped is not waited for again. */
const PATIENCE_MS = 100;
const LOOK_MS = 5;
const sleeping = new Int32Array(new SharedArrayBuffer(4));

export class Lines {
  readonly #fd: number;
  #leftOut = 0;
  /** The last line was cut: its rest never came. */
  #isCut = false;

  constructor(fd: 1 | 2) {
    this.#fd = withoutBlocking(fd);
  }

  /** `text` ends with a line break. */
  write(text: string): void {
    const told =
      this.#leftOut === 0 ? '' : `${JSON.stringify({ leftOut: this.#leftOut, msg: 'lines that nobody read' })}\n`;
    const bytes = Buffer.from(`${this.#isCut ? '\n' : ''}${told}${text}`);
    const written = this.#put(bytes);
    if (written === bytes.length) {
      this.#leftOut = 0;
      this.#isCut = false;
      return;
    }
    this.#leftOut++;
    this.#isCut ||= written > 0;
  }

  #put(bytes: Buffer): number {
    const until = performance.now() + (this.#leftOut === 0 ? PATIENCE_MS : 0);
    let written = 0;
    while (written < bytes.length) {
      try {
        written += writeSync(this.#fd, bytes, written);
      } catch (error) {
        const { code } = error as NodeJS.ErrnoException;
        // Gone, or full for good: EPIPE, EIO, ENOSPC.
        if (code !== 'EAGAIN' || performance.now() >= until) return written;
        Atomics.wait(sleeping, 0, 0, LOOK_MS);
      }
    }
    return written;
  }
}

/** A pipe or terminal of its own that does not block: the flag of `fd` itself is shared with other processes. */
function withoutBlocking(fd: number): number {
  try {
    const stat = fstatSync(fd);
    if (!stat.isFIFO() && !stat.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_APPEND | constants.O_NONBLOCK);
  } catch {
    // Closed, or a system without /proc.
    return fd;
  }
}
