/**
 * What the figures are held against. `targets` are the project's goals, printed beside what a run
 * reached; `gate` are the ratios below which CI fails: so far under the goals that only a broken hot
 * path gets there, not a busy machine.
 */
import type { Peer, StoreName } from './contestants.js';
import { ATTACKS, type Row, type Work } from './result.js';

export interface Target {
  readonly name: string;
  /** At least so much, or at most. */
  readonly least?: number;
  readonly most?: number;
  readonly unit: string;
  /** null: the run has not measured it. */
  readonly of: (rows: readonly Row[]) => number | null;
}

export interface Verdict {
  readonly name: string;
  readonly goal: string;
  readonly reached: number;
  readonly unit: string;
  readonly met: boolean;
}

interface Query {
  readonly work: Work;
  readonly peer?: Peer;
  readonly store?: StoreName;
  readonly n?: number;
  readonly w?: number;
  readonly bytes?: number;
  readonly variant?: string;
}

/** The row of the peer; roomwire's on the memory store unless said, or without one where a work needs none. */
function find(rows: readonly Row[], query: Query): Row | undefined {
  const { work, peer = 'roomwire', n, w, bytes, variant } = query;
  const store = query.store ?? (peer === 'roomwire' ? 'memory' : 'none');
  return rows.find(
    (row) =>
      row.work === work &&
      row.peer === peer &&
      (row.store === store || row.store === 'none') &&
      (n === undefined || row.n === n) &&
      (w === undefined || row.w === w) &&
      (bytes === undefined || row.bytes === bytes) &&
      (variant === undefined || row.variant === variant),
  );
}

const rate = (rows: readonly Row[], query: Query): number | null => find(rows, query)?.perSecond ?? null;
const over = (a: number | null | undefined, b: number | null | undefined): number | null =>
  a === null || a === undefined || b === null || b === undefined || b === 0 ? null : a / b;
/** How often roomwire's rate holds the other's. */
const times =
  (query: Query, other: Partial<Query>) =>
  (rows: readonly Row[]): number | null =>
    over(rate(rows, query), rate(rows, { ...query, ...other }));
const toUws =
  (query: Query) =>
  (rows: readonly Row[]): number | null =>
    find(rows, query)?.toUws?.perSecond ?? null;
const figure =
  (query: Query, name: string) =>
  (rows: readonly Row[]): number | null =>
    find(rows, query)?.more?.[name] ?? null;
/** The dearest delivery over the cheapest one. */
const spread =
  (work: Work, w: number) =>
  (rows: readonly Row[]): number | null => {
    const costs = rows
      .filter((row) => row.work === work && row.peer === 'roomwire' && row.store === 'memory' && row.w === w)
      .filter(({ bytes }) => bytes === 64)
      .map(({ cpuNanoseconds }) => cpuNanoseconds ?? 0);
    return costs.length < 2 ? null : Math.max(...costs) / Math.min(...costs);
  };

const one = { work: 'fanout', n: 1000, w: 1, bytes: 64 } as const;
const many = { work: 'fanout', n: 1000, w: 256, bytes: 64 } as const;
/** ± 20 %: the dearest may cost 1.2 of the middle, the cheapest 0.8 of it. */
const FLAT = 1.5;

export const targets: readonly Target[] = [
  { name: 'fan-out n=1000, w=1', least: 0.95, unit: '× uws', of: toUws(one) },
  { name: 'fan-out n=1000, w=256', least: 2, unit: '× uws', of: toUws(many) },
  { name: 'fan-out n=1000, w=256', least: 0.5, unit: '× floor', of: times(many, { peer: 'floor' }) },
  { name: 'fan-out n=1000, w=256', least: 100, unit: '× socket.io', of: times(many, { peer: 'socket.io' }) },
  { name: 'fan-out n=1000, w=256', least: 5, unit: '× socket.io-uws', of: times(many, { peer: 'socket.io-uws' }) },
  { name: 'fan-out n=1000, w=256', least: 8, unit: '× nats', of: times(many, { peer: 'nats' }) },
  {
    name: 'LMDB, n=1000, w=1',
    least: 0.8,
    unit: '× memory',
    of: times({ ...one, store: 'lmdb' }, { store: 'memory' }),
  },
  {
    name: 'LMDB, n=1000, w=256',
    least: 0.8,
    unit: '× memory',
    of: times({ ...many, store: 'lmdb' }, { store: 'memory' }),
  },
  ...(['both', 'apart'] as const).map((people): Target => ({
    name: `one update to two topics (${people})`,
    least: 0.9,
    unit: '× two broadcasts',
    of: times({ work: 'dual', variant: `${people}, one tick` }, { variant: `${people}, two broadcasts` }),
  })),
  { name: 'call → ack', least: 0.7, unit: '× uws echo', of: toUws({ work: 'calls' }) },
  { name: 'call → ack', least: 5, unit: '× socket.io', of: times({ work: 'calls' }, { peer: 'socket.io' }) },
  { name: 'idle joined session', most: 4096, unit: 'bytes', of: figure({ work: 'memory' }, 'rssPerSessionBytes') },
  ...[1, 32].map((w): Target => ({
    name: `CPU of a delivery over n, w=${w}`,
    most: FLAT,
    unit: '× the cheapest',
    of: spread('fanout', w),
  })),
  { name: 'CPU of a delivery over topics', most: FLAT, unit: '× the cheapest', of: spread('topics', 1) },
  {
    name: 'reconnect storm, p99',
    most: 5000,
    unit: 'ms',
    of: (rows) => find(rows, { work: 'reconnects' })?.p99Ms ?? null,
  },
  {
    name: 'a stalled client',
    most: 64,
    unit: 'KiB',
    of: figure({ work: 'stalled', variant: 'with stalled' }, 'rssPerStalledKiB'),
  },
  {
    name: 'readers beside stalled clients',
    least: 0.9,
    unit: '× without',
    of: times({ work: 'stalled', variant: 'with stalled' }, { variant: 'none stalled' }),
  },
  ...ATTACKS.map((variant): Target => ({
    name: `calls beside ${variant}, p99`,
    most: 3,
    unit: '× quiet',
    of: figure({ work: 'attacks', variant }, 'timesQuiet'),
  })),
  { name: 'SDK decode, w=256', least: 2e6, unit: 'events/s', of: (rows) => rate(rows, { work: 'decode', w: 256 }) },
  { name: 'SDK, min + gzip', most: 14_336, unit: 'bytes', of: figure({ work: 'size' }, 'minGzipBytes') },
];

/** Of the quick run. */
export const gate: readonly Target[] = [
  { name: 'fan-out n=1000, w=1', least: 0.5, unit: '× uws', of: toUws(one) },
  { name: 'fan-out n=1000, w=256', least: 1.5, unit: '× uws', of: toUws(many) },
];

/** Those that the run has measured. */
export function judge(held: readonly Target[], rows: readonly Row[]): Verdict[] {
  return held.flatMap(({ name, least, most, unit, of }) => {
    const reached = of(rows);
    if (reached === null) return [];
    const met = reached >= (least ?? -Infinity) && reached <= (most ?? Infinity);
    return [{ name, goal: least === undefined ? `≤ ${most}` : `≥ ${least}`, reached, unit, met }];
  });
}

export function verdicts(list: readonly Verdict[]): string {
  const width = Math.max(...list.map(({ name }) => name.length));
  return list
    .map(({ name, goal, reached, unit, met }) => {
      const digits = reached >= 100 ? 0 : 2;
      return `${met ? 'met   ' : 'MISSED'}  ${name.padEnd(width)}  ${reached.toFixed(digits)} ${unit} (${goal})`;
    })
    .join('\n');
}
