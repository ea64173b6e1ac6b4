/**
 * The program that has the client under test do things: it reads commands as JSON lines and writes answers and what the
 * client saw. docs/conform.md has both.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import type { Changes } from './changes.js';
import { shown } from './patterns.js';
import { Lacking } from './report.js';
import { Mismatch } from './wire.js';

/** A line of the driver: an answer has `id`, what the client saw has `saw`. */
export type Line = Readonly<Record<string, unknown>>;

export class Driver {
  readonly #child: ChildProcess;
  readonly #changes: Changes;
  readonly #lines: Line[] = [];
  readonly #commands: string[] = [];
  #errors = '';

  constructor([program = '', ...args]: readonly string[], changes: Changes) {
    this.#changes = changes;
    const child = (this.#child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] }));
    const fail = (message: string): void => changes.fail(new Mismatch(`the driver ${message}`));
    child.on('error', (error) => fail(`does not start: ${error.message}`));
    child.on('exit', (code) => fail(`ended with ${code ?? 'a signal'}: ${this.#errors.slice(-500)}`));
    child.stdin.on('error', () => undefined);
    child.stderr.on('data', (text: Buffer) => (this.#errors = (this.#errors + text.toString()).slice(-2_000)));
    createInterface(child.stdout).on('line', (text) => {
      let line: Line;
      try {
        line = JSON.parse(text) as Line;
      } catch {
        return fail(`wrote what is no JSON: ${text.slice(0, 200)}`);
      }
      if (line['lacks'] === true)
        changes.fail(new Lacking(`the driver lacks ${this.#commands[Number(line['id']) - 1]}`));
      this.#lines.push(line);
      changes.tell();
    });
  }

  end(): void {
    this.#child.removeAllListeners('exit');
    this.#child.kill('SIGKILL');
  }

  /** Has the client do something; returns how to get its answer. */
  ask(command: string, parts: Line = {}, leastMs?: number): () => Promise<Line> {
    const id = this.#commands.push(command);
    this.#child.stdin?.write(`${JSON.stringify({ id, do: command, ...parts })}\n`);
    return () => this.#line((line) => line['id'] === id, `an answer to ${command}`, leastMs);
  }

  /** Fails unless the client could. */
  async done(command: string, parts: Line = {}, leastMs?: number): Promise<unknown> {
    const answer = await this.ask(command, parts, leastMs)();
    if (answer['error'] !== undefined) throw new Mismatch(`${command}: ${shown(answer['error'])}`);
    return answer['ok'];
  }

  saw(what: string, parts: Line = {}): Promise<Line> {
    return this.#line((line) => isSight(line, what, parts), `${what} ${shown(parts)}`);
  }

  /** How often a line like this was seen by now and not taken. */
  count(what: string, parts: Line = {}): number {
    return this.#lines.filter((line) => isSight(line, what, parts)).length;
  }

  async #line(fits: (line: Line) => boolean, what: string, leastMs?: number): Promise<Line> {
    await this.#changes.until(
      () => this.#lines.some(fits),
      () => `the client did not tell ${what}; it told ${shown(this.#lines)}`,
      leastMs,
    );
    return this.#lines.splice(this.#lines.findIndex(fits), 1)[0] as Line;
  }
}

function isSight(line: Line, what: string, parts: Line): boolean {
  return line['saw'] === what && Object.entries(parts).every(([key, value]) => shown(line[key]) === shown(value));
}
