/**
 * Where a server's time went while it was measured: the shares of its busiest functions in the CPU profile that Node
 * writes when it ends, set-up and rest left out. V8 and `process.hrtime` count the same clock, for all processes of a machine.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Microseconds of the machine's clock. */
export interface Stretch {
  readonly from: number;
  readonly to: number;
}

export const clock = (): number => Number(process.hrtime.bigint() / 1000n);

/** How many functions are named. */
const NAMED = 8;

interface Profile {
  readonly nodes: readonly {
    readonly id: number;
    readonly callFrame: { readonly functionName: string; url: string };
  }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  readonly startTime: number;
}

/** The profile that a process left in a directory; undefined for one that wrote none, as programs other than Node. */
export function profileOf(directory: string, pid: number): Profile | undefined {
  const file = readdirSync(directory).find((name) => name.endsWith('.cpuprofile') && name.split('.')[3] === `${pid}`);
  return file === undefined ? undefined : (JSON.parse(readFileSync(join(directory, file), 'utf8')) as Profile);
}

/** A line: how much of the stretch it was busy, and what with. */
export function sharesOf({ nodes, samples, timeDeltas, startTime }: Profile, { from, to }: Stretch): string {
  const names = new Map(nodes.map(({ id, callFrame }) => [id, nameOf(callFrame)]));
  const spent = new Map<string, number>();
  let busy = 0;
  let at = startTime;
  for (const [i, id] of samples.entries()) {
    const delta = timeDeltas[i] as number;
    at += delta;
    const name = names.get(id) as string;
    if (at < from || at > to || name === '(idle)') continue;
    busy += delta;
    spent.set(name, (spent.get(name) ?? 0) + delta);
  }
  const most = [...spent].sort(([, a], [, b]) => b - a).slice(0, NAMED);
  const percent = (part: number, whole: number): string => `${((100 * part) / whole).toFixed(1)} %`;
  return [
    `busy ${percent(busy, to - from)}`,
    ...most.map(([name, microseconds]) => `${name} ${percent(microseconds, busy)}`),
  ].join(', ');
}

/** A function with its file; V8's own (native code, garbage collector) as V8 calls them. */
function nameOf({ functionName, url }: { readonly functionName: string; readonly url: string }): string {
  const name = functionName === '' ? 'anonymous' : functionName;
  return url === '' ? name : `${name} (${url.split('/').slice(-2).join('/')})`;
}
