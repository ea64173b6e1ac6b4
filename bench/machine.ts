/** The machine: what it is, which cores the two sides get, and how many connections it allows. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg, platform, release } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';

export interface Machine {
  readonly cpu: string;
  readonly cores: number;
  readonly system: string;
  readonly node: string;
  /** Whether server and load have a core each; without, they may take each other's. */
  readonly pinned: boolean;
  /** Of the last minute, when the run began. */
  readonly loadAverage: number;
}

/** Above this, others had the machine as well: figures of a whole run are not to be published. */
export const QUIET = 0.3;

export const loadAverage = (): number => loadavg()[0] ?? 0;

/** Resolves when the machine is quiet, or after so long: the build that came before a run makes it busy for a minute. */
export async function quiet(atMostMs: number): Promise<void> {
  for (const end = performance.now() + atMostMs; loadAverage() > QUIET && performance.now() < end;) await delay(1_000);
}

const cores = allowedCores();

/** The first two cores this process may use; undefined where there are no two, or no `taskset`. */
function allowedCores(): { readonly server: number; readonly load: number } | undefined {
  try {
    const list =
      execFileSync('taskset', ['-cp', `${process.pid}`], { encoding: 'utf8' })
        .split(':')
        .at(-1) ?? '';
    const all = list.split(',').flatMap((range) => {
      const [first = 0, last = first] = range.trim().split('-').map(Number);
      return Array.from({ length: last - first + 1 }, (_, i) => first + i);
    });
    const [server, load] = all;
    return server === undefined || load === undefined ? undefined : { server, load };
  } catch {
    return undefined;
  }
}

/** The command line, on the core of that side. */
export function pinned(side: 'server' | 'load', command: readonly string[]): readonly string[] {
  return cores === undefined ? command : ['taskset', '-c', `${cores[side]}`, ...command];
}

/** Moves this process, with all its threads, to the core of the load. */
export function pinLoad(): void {
  if (cores !== undefined) execFileSync('taskset', ['-acp', `${cores.load}`, `${process.pid}`]);
}

export function machine(): Machine {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    system: `${platform()} ${release()}`,
    node: process.version,
    pinned: cores !== undefined,
    loadAverage: loadAverage(),
  };
}

/** Files a process may open. Node has raised its soft limit to the hard one when it started. */
export function openFiles(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files +(\d+)/m.exec(limits)?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
