/**
 * What is another machine to the kernel: a network namespace that only the cables of a test lead to. It takes root, and `ip` of
 * iproute2; `noMachines` says why not, for tap's `skip`.
 */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';

export const noMachines: string | false =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? 'needs root on Linux'
    : ['/usr/sbin/ip', '/sbin/ip', '/usr/bin/ip'].some(existsSync)
      ? false
      : 'needs ip';

const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8', stdio: 'pipe' });

export interface Cable {
  /** Of its end on this machine. */
  readonly here: string;
  readonly there: string;
  pull(): void;
  plug(): void;
}

export interface Machine<C extends string = string> {
  readonly name: string;
  readonly cables: Readonly<Record<C, Cable>>;
  /** What makes a program run there: before its own command line. */
  readonly command: readonly string[];
}

/** `net`: one of its own among those of all tests, 0 to 255. */
export function startMachine<C extends string>(
  t: { teardown(end: () => unknown): void },
  net: number,
  names: readonly C[],
): Machine<C> {
  const [machine, own] = [`rw${process.pid % 10_000}n${net}`, `${process.pid % 10_000}n${net}`];
  ip('netns', 'add', machine);
  t.teardown(() => ip('netns', 'del', machine));
  const cables = names.map((name, i): [C, Cable] => {
    const [device, far] = [`${name.slice(0, 1)}${own}`, `eth-${name.slice(0, 1)}`];
    const [here, there] = [`10.213.${net}.${4 * i + 1}`, `10.213.${net}.${4 * i + 2}`];
    ip('link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth', 'netns', machine);
    // The namespace may keep it for a moment after its own end.
    t.teardown(() => void spawn('ip', ['link', 'del', device], { stdio: 'ignore' }));
    ip('-n', machine, 'link', 'set', 'eth', 'name', far);
    ip('addr', 'add', `${here}/30`, 'dev', device);
    ip('-n', machine, 'addr', 'add', `${there}/30`, 'dev', far);
    ip('link', 'set', device, 'up');
    ip('-n', machine, 'link', 'set', far, 'up');
    const set = (state: 'up' | 'down') => (): void => void ip('link', 'set', device, state);
    return [name, { here, there, pull: set('down'), plug: set('up') }];
  });
  ip('-n', machine, 'link', 'set', 'lo', 'up');
  return {
    name: machine,
    cables: Object.fromEntries(cables) as Record<C, Cable>,
    command: ['ip', 'netns', 'exec', machine],
  };
}

export interface Machines {
  readonly all: readonly Machine<'all'>[];
  /** Of this machine: each of them reaches it, whichever cable is pulled. */
  readonly home: string;
}

/** Each on one cable. */
export function startMachines(t: { teardown(end: () => unknown): void }, net: number, count: number): Machines {
  const home = `10.213.${net}.254`;
  ip('addr', 'add', `${home}/32`, 'dev', 'lo');
  t.teardown(() => ip('addr', 'del', `${home}/32`, 'dev', 'lo'));
  const all = Array.from({ length: count }, (_, i) => startMachine(t, net + 1 + i, ['all']));
  for (const { name, cables } of all) ip('-n', name, 'route', 'add', home, 'via', cables.all.here);
  return { all, home };
}
