/**
 * docs/tutorial.md is done as it is written: files are written, commands typed into the terminals it names, and what
 * it shows is compared with what they print. A block ```sh ada is typed into Ada's terminal, ```text ada is what it
 * prints next; blocks without a name are of the terminal main.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { freePort } from '../support/free-port.js';
import { eventually } from '../support/browser.js';

const root = new URL('../..', import.meta.url).pathname;
const tutorial = readFileSync(join(root, 'docs/tutorial.md'), 'utf8');
const required = process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
const missing = ['bash', 'curl', 'python3'].find((tool) => spawnSync(tool, ['--version']).error !== undefined);
const skip = !required && missing !== undefined && `${missing} is not here`;

interface Block {
  readonly language: string;
  readonly terminal: string;
  readonly text: string;
}

const blocks: Block[] = [...tutorial.matchAll(/^```(\w+)(?: (\w+))?\n([^]*?)^```$/gm)].map(
  ([, language = '', terminal = 'main', text = '']) => ({ language, terminal, text }),
);

/** What differs from run to run: names of guests, epochs, offsets. */
class Reading {
  readonly #guests: string[] = [];

  of(line: string): string {
    return line
      .replace(/\b[a-z]+-\d{3}\b/g, (name) => {
        if (!this.#guests.includes(name)) this.#guests.push(name);
        return `guest ${this.#guests.indexOf(name) + 1}`;
      })
      .replace(/"epoch":"[^"]+","offset":\d+/, '"epoch":…,"offset":…');
  }
}

/** What a person has: a shell on a terminal of its own, and what it runs reads what is typed meanwhile. */
class Terminal {
  readonly shell: ChildProcess;
  #printed = '';
  #compared = 0;

  private constructor(dir: string) {
    const program = 'import pty; pty.spawn(["bash", "--norc", "--noprofile", "--noediting"])';
    this.shell = spawn('python3', ['-c', program], {
      cwd: dir,
      // A group of its own, to end with all that it started.
      detached: true,
      env: { ...process.env, NODE_OPTIONS: '', TOKEN: undefined, TERM: 'dumb' },
    });
    for (const stream of [this.shell.stdout, this.shell.stderr]) {
      stream?.on('data', (chunk) => (this.#printed += String(chunk).replaceAll('\r', '')));
    }
  }

  static async open(dir: string): Promise<Terminal> {
    const terminal = new Terminal(dir);
    // What is typed is not part of what is printed.
    terminal.type('PS1= PS2=; stty -echo; echo no-$((1))-echo\n');
    await eventually(() => terminal.#printed.includes('no-1-echo\n'));
    terminal.#printed = '';
    return terminal;
  }

  type(text: string): void {
    this.shell.stdin?.write(text);
  }

  /** Ctrl-C. The shell, back again, begins a new line. */
  async interrupt(): Promise<void> {
    const { length } = this.#printed;
    this.type('\x03');
    await eventually(() => this.#printed.length > length);
  }

  /** Complete lines not yet compared, without what the shell says of what was killed, and npm of the machine. */
  #lines(): string[] {
    const lines = this.#printed.split('\n').slice(0, -1);
    return lines.filter((line) => !/^$|Killed|^npm (warn|notice)/.test(line)).slice(this.#compared);
  }

  /** As soon as it has printed so many lines more; fewer when it does not. */
  async next(count: number): Promise<string[]> {
    const end = Date.now() + 30_000;
    await eventually(() => this.#lines().length >= count || Date.now() > end);
    const lines = this.#lines().slice(0, count);
    this.#compared += lines.length;
    return lines;
  }

  /** All it has printed since. */
  rest(): string[] {
    return this.#lines();
  }
}

/** In place of npm: the packages as they are here. */
function install(dir: string): void {
  const modules = join(dir, 'node_modules');
  mkdirSync(join(modules, '.bin'), { recursive: true });
  mkdirSync(join(modules, '@roomwire'));
  symlinkSync(root, join(modules, '@roomwire/server'));
  symlinkSync(join(root, 'packages/client'), join(modules, '@roomwire/client'));
  symlinkSync(join(root, 'node_modules/valibot'), join(modules, 'valibot'));
  symlinkSync('../@roomwire/server/dist/cli/main.js', join(modules, '.bin/roomwire'));
}

t.test('the tutorial works as printed', { skip }, async (t) => {
  t.ok(existsSync(join(root, 'dist/index.js')), 'the package is built');
  const port = String(await freePort());
  const home = t.testdir();
  const dir = join(home, 'kitchen');
  const terminals = new Map<string, Terminal>();
  t.teardown(() => {
    for (const { shell } of terminals.values()) if (shell.pid !== undefined) process.kill(-shell.pid, 'SIGKILL');
  });
  const terminal = async (name: string): Promise<Terminal> => {
    const known = terminals.get(name) ?? (await Terminal.open(name === 'main' ? home : dir));
    terminals.set(name, known);
    return known;
  };
  const [written, real] = [new Reading(), new Reading()];
  let asked = 0;

  for (const { language, terminal: name, text: printed } of blocks) {
    const text = printed.replaceAll('8420', port);
    const file = /^(?:\/\/|#) (\S+\.(?:js|py))\n/.exec(text)?.[1];
    if (language === 'text') {
      const lines = text.trimEnd().split('\n');
      const found = await (await terminal(name)).next(lines.length);
      const same = t.same(
        found.map((line) => real.of(line)),
        lines.map((line) => written.of(line)),
        `${name}: ${lines[0]}`,
      );
      if (!same) return;
    } else if (file !== undefined) {
      writeFileSync(join(dir, file), text);
    } else if (name === 'main') {
      const [before, after] = text.split(/^npm install .*\n/m);
      const done = join(home, `done-${++asked}`);
      (await terminal(name)).type(`${before}echo > ${done}\n`);
      await eventually(() => existsSync(done));
      if (after !== undefined) install(dir);
    } else {
      if (text === '^C\n') await (await terminal(name)).interrupt();
      else (await terminal(name)).type(text);
    }
  }
  for (const [name, terminal] of terminals) t.same(terminal.rest(), [], `${name} printed nothing else`);
});
