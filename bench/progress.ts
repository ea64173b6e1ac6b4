/** What the user sees while it runs, on stderr: a line per sample, and on a terminal the step under way, rewritten in place. */
import { keyOf, type Contestant } from './contestants.js';
import type { Cell, Sample } from './result.js';
import { count, milliseconds } from './table.js';

export class Progress {
  readonly #live = process.stderr.isTTY === true;
  readonly #start = performance.now();
  #doing = '';

  /** What begins now. */
  step(text: string): void {
    this.#doing = text;
    this.#draw();
  }

  say(line: string): void {
    this.clear();
    process.stderr.write(`${line}\n`);
    this.#draw();
  }

  sample(round: number, cell: Cell, contestant: Contestant, sample: Sample): void {
    const figures = [
      ...(sample.perSecond === null ? [] : [`${count(sample.perSecond)}/s`]),
      ...(sample.cpuNanoseconds === null ? [] : [`${sample.cpuNanoseconds.toFixed(1)} ns`]),
      ...(sample.p50Ms === null ? [] : [`p50 ${milliseconds(sample.p50Ms)} ms`]),
      ...Object.entries(sample.more ?? {}).map(([what, value]) => `${what} ${count(value)}`),
    ];
    this.say(`round ${round}  ${nameOf(cell, contestant)}  ${figures.join('  ')}`);
  }

  /** Where the server's time went in such a sample. */
  profile(cell: Cell, contestant: Contestant, shares: string): void {
    this.say(`profile  ${nameOf(cell, contestant)}  ${shares}`);
  }

  clear(): void {
    if (this.#live) process.stderr.write('\r\x1b[K');
  }

  #draw(): void {
    if (!this.#live) return;
    const seconds = Math.round((performance.now() - this.#start) / 1000);
    process.stderr.write(
      `\r\x1b[K${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}  ${this.#doing}`,
    );
  }
}

function nameOf({ work, variant, n, w, bytes }: Cell, contestant: Contestant): string {
  return [
    work,
    ...(variant === undefined ? [] : [variant]),
    ...(n === 0 ? [] : [`n=${n}`]),
    ...(w === 0 ? [] : [`w=${w}`]),
    ...(bytes === 0 ? [] : [`${bytes} B`]),
    keyOf(contestant),
  ].join(' ');
}
