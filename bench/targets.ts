/**
 * What the figures are held against. `targets` are the project's goals, printed beside what a run
 * reached; `gate` are the ratios below which CI fails: so far under the goals that only a broken hot
 * path gets there, not a busy machine. Where the machine itself is the limit, the goal is a share of
 * that: of the raw echo for a call, of the C floor for a broadcast.
 */
import { LOGS, type LogName, type Peer, type StoreName } from './contestants.js';
import { ATTACKS, BESIDE, COMMON_RATE, SEVENTY, type Row, type Step, type Work } from './result.js';

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
  readonly store?: StoreName | LogName;
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
/** How much of the server's CPU time, against the other's. */
const timesCpu =
  (query: Query, other: Partial<Query>) =>
  (rows: readonly Row[]): number | null =>
    over(find(rows, query)?.cpuNanoseconds, find(rows, { ...query, ...other })?.cpuNanoseconds);
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

/** Of the CPU time, in microseconds. */
const cpu =
  (query: Query) =>
  (rows: readonly Row[]): number | null => {
    const nanoseconds = find(rows, query)?.cpuNanoseconds ?? null;
    return nanoseconds === null ? null : nanoseconds / 1000;
  };
/** Servers of messages that one would take instead; uws and the floor are what such are made of. */
const RIVALS = ['ws', 'socket.io', 'socket.io-uws', 'nats'] as const;
/** Against the best of them. */
const toBest =
  (query: Query, of: (row: Row) => number | null, best: (...values: number[]) => number) =>
  (rows: readonly Row[]): number | null => {
    const theirs = RIVALS.map((peer) => find(rows, { ...query, peer }))
      .map((row) => (row === undefined ? null : of(row)))
      .filter((value) => value !== null);
    const own = find(rows, query);
    return own === undefined || theirs.length === 0 ? null : over(of(own), best(...theirs));
  };
const toBestRate = (query: Query) => toBest(query, ({ perSecond }) => perSecond, Math.max);

/** On whichever engine it was measured. */
const failover = (rows: readonly Row[], n: number, variant: string): Row | undefined =>
  rows.find((row) => row.work === 'failover' && row.n === n && row.variant === variant);

const fanout = (n: number, w: number) => ({ work: 'fanout', n, w, bytes: 64 }) as const;
const one = fanout(1000, 1);
const many = fanout(1000, 256);
const lone = { work: 'topics', n: 1 } as const;
/** Ten thousand rooms, fewer with fewer clients. */
const small = (w: number) => ({ work: 'rooms', variant: 'of 3', w }) as const;
const session = (variant: Step) => cpu({ work: 'sessions', variant });
const lmdb = (query: Query) => times({ ...query, store: 'lmdb' }, { store: 'memory' });
/** ± 20 %: the dearest may cost 1.2 of the middle, the cheapest 0.8 of it. */
const FLAT = 1.5;

export const targets: readonly Target[] = [
  { name: 'fan-out n=100, w=1', least: 0.95, unit: '× uws', of: toUws(fanout(100, 1)) },
  { name: 'fan-out n=100, w=256', least: 0.85, unit: '× floor', of: times(fanout(100, 256), { peer: 'floor' }) },
  { name: 'fan-out n=1000, w=1', least: 0.95, unit: '× uws', of: toUws(one) },
  { name: 'fan-out n=1000, w=256', least: 2, unit: '× uws', of: toUws(many) },
  { name: 'fan-out n=1000, w=256', least: 0.9, unit: '× floor', of: times(many, { peer: 'floor' }) },
  { name: 'fan-out n=1000, w=256', least: 100, unit: '× socket.io', of: times(many, { peer: 'socket.io' }) },
  { name: 'fan-out n=1000, w=256', least: 5, unit: '× socket.io-uws', of: times(many, { peer: 'socket.io-uws' }) },
  { name: 'fan-out n=10,000, w=1', least: 0.95, unit: '× uws', of: toUws(fanout(10_000, 1)) },
  { name: 'fan-out n=10,000, w=256', least: 0.9, unit: '× floor', of: times(fanout(10_000, 256), { peer: 'floor' }) },
  { name: 'LMDB, n=1000, w=1', least: 0.8, unit: '× memory', of: lmdb(one) },
  { name: 'LMDB, n=1000, w=256', least: 0.8, unit: '× memory', of: lmdb(many) },
  ...([1, 256] as const).flatMap((w): Target[] => [
    { name: `rooms of 3, w=${w}`, least: 0.85, unit: '× uws', of: toUws(small(w)) },
    { name: `rooms of 3, w=${w}`, least: 1, unit: '× the best peer', of: toBestRate(small(w)) },
    { name: `LMDB, rooms of 3, w=${w}`, least: 0.65, unit: '× memory', of: lmdb(small(w)) },
  ]),
  { name: 'one topic of 10, w=1', least: 0.85, unit: '× uws', of: toUws(lone) },
  {
    name: 'one room of 10, w=1',
    least: 1,
    unit: '× the best peer',
    of: toBestRate({ work: 'rooms', variant: 'of 10', w: 1 }),
  },
  { name: 'LMDB, one topic of 10, w=1', least: 0.65, unit: '× memory', of: lmdb(lone) },
  ...(['both', 'apart'] as const).map((people): Target => ({
    name: `one update to two topics (${people})`,
    least: 0.9,
    unit: '× two broadcasts',
    of: times({ work: 'dual', variant: `${people}, one tick` }, { variant: `${people}, two broadcasts` }),
  })),
  { name: 'call → ack', least: 0.85, unit: '× uws echo', of: toUws({ work: 'calls' }) },
  ...[10, 100].flatMap((n): Target[] => {
    const seventy = { work: 'latency', n, variant: SEVENTY } as const;
    const common = { work: 'latency', n, variant: COMMON_RATE.name } as const;
    return [
      { name: `latency of ${n} at 70 %, p99`, most: 5, unit: 'ms', of: (rows) => find(rows, seventy)?.p99Ms ?? null },
      { name: `latency of ${n} at 70 %, p99.9`, most: 20, unit: 'ms', of: figure(seventy, 'p999Ms') },
      {
        name: `latency of ${n} at ${COMMON_RATE.name}, p99`,
        most: 1,
        unit: '× the best peer',
        of: toBest(common, ({ p99Ms }) => p99Ms, Math.min),
      },
    ];
  }),
  {
    name: 'connect and subscribe',
    least: 1,
    unit: '× socket.io-uws',
    of: times({ work: 'connects' }, { peer: 'socket.io-uws' }),
  },
  {
    name: 'join, members listed and announced',
    least: 1.5,
    unit: '× socket.io-uws',
    of: times({ work: 'joins' }, { peer: 'socket.io-uws' }),
  },
  { name: 'CPU of HELLO', most: 40, unit: 'µs', of: session('HELLO') },
  { name: 'CPU of a join alone', most: 60, unit: 'µs', of: session('join') },
  { name: 'CPU of a resume, 3 topics', most: 60, unit: 'µs', of: session('resume, 3 topics') },
  {
    name: 'reconnect storm, p99',
    most: 700,
    unit: 'ms',
    of: (rows) => find(rows, { work: 'reconnects' })?.p99Ms ?? null,
  },
  { name: 'CPU of a lock, taken and released', most: 60, unit: 'µs', of: cpu({ work: 'locks' }) },
  {
    name: 'CPU of a lock on LMDB',
    most: 80,
    unit: 'µs over memory',
    of(rows) {
      const [memory, durable] = (['memory', 'lmdb'] as const).map((store) => cpu({ work: 'locks', store })(rows));
      return typeof memory === 'number' && typeof durable === 'number' ? durable - memory : null;
    },
  },
  { name: 'idle joined session', most: 4096, unit: 'bytes', of: figure({ work: 'memory' }, 'rssPerSessionBytes') },
  ...[1, 32].map((w): Target => ({
    name: `CPU of a delivery over n, w=${w}`,
    most: FLAT,
    unit: '× the cheapest',
    of: spread('fanout', w),
  })),
  { name: 'CPU of a delivery over topics', most: FLAT, unit: '× the cheapest', of: spread('topics', 1) },
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
  ...[1, 32].map((w): Target => ({
    name: `hub's CPU of a delivery, 2 edges, w=${w}`,
    most: 0.2,
    unit: '× direct',
    of: timesCpu({ work: 'edges', w, variant: 'fan-out, 2 edges' }, { variant: 'fan-out, direct' }),
  })),
  ...[1, 32].map((w): Target => ({
    name: `CPU of a delivery, hub and 2 edges, w=${w}`,
    most: 1.25,
    unit: '× direct',
    of(rows) {
      const edges = find(rows, { work: 'edges', w, variant: 'fan-out, 2 edges' });
      const direct = find(rows, { work: 'edges', w, variant: 'fan-out, direct' });
      const all = (edges?.cpuNanoseconds ?? 0) + (edges?.more?.['edges CPU ns'] ?? 0);
      return edges === undefined ? null : over(all, direct?.cpuNanoseconds);
    },
  })),
  ...[1, 100].map((n): Target => ({
    name: `hub's CPU of a call, 1 edge, ${n} at once`,
    most: 0.7,
    unit: '× direct',
    of: timesCpu({ work: 'edges', n, variant: 'calls, 1 edge' }, { variant: 'calls, direct' }),
  })),
  ...(['p50Ms', 'p99Ms'] as const).map((quantile): Target => ({
    name: `an edge adds to a call, ${quantile.slice(0, 3)}`,
    most: quantile === 'p50Ms' ? 0.15 : 1,
    unit: 'ms',
    of(rows) {
      const [edge, direct] = ['1 edge', 'direct'].map(
        (how) => find(rows, { work: 'edges', n: 1, variant: `calls, ${how}` })?.[quantile] ?? null,
      );
      return typeof edge === 'number' && typeof direct === 'number' ? edge - direct : null;
    },
  })),
  ...BESIDE.map((load): Target => ({
    name: `events through an edge beside ${load}, p99`,
    most: 2,
    unit: '× quiet',
    of: figure({ work: 'edges', variant: `events, ${load}` }, 'timesQuiet'),
  })),
  ...LOGS.flatMap((store): Target[] => {
    const of = (variant: string, n: number): Query => ({ work: 'cluster', store, n, variant });
    const rows = { append: of('append', 1), one: of('publish', 1), many: of('publish', 64) };
    const fan = { work: 'cluster', n: 1000, w: 256, variant: 'fan-out' } as const;
    const least: Target =
      store === 'postgres'
        ? {
            name: 'publish on postgres, p50',
            most: 1.5,
            unit: '× fsync and round trip',
            of(all) {
              const { 'round trip ms': trip = 0, 'fdatasync ms': sync = 0 } = find(all, rows.append)?.more ?? {};
              return over(find(all, rows.one)?.p50Ms, trip + sync);
            },
          }
        : {
            name: `publish on ${store}, p50`,
            most: store === 'nats' ? 0.5 : 1.5,
            unit: 'ms',
            of: (all) => find(all, rows.one)?.p50Ms ?? null,
          };
    return [
      least,
      { name: `publishes on ${store}, 64 at once`, least: 10_000, unit: '/s', of: (all) => rate(all, rows.many) },
      {
        name: `fan-out on ${store}, w=256`,
        least: 0.8,
        unit: '× LMDB',
        of: times({ ...fan, store }, { store: 'lmdb' }),
      },
    ];
  }),
  {
    name: 'failover of 1,000 sessions, p50',
    most: 3_000,
    unit: 'ms',
    of: (all) => failover(all, 1_000, 'killed')?.p50Ms ?? null,
  },
  {
    name: 'failover of 10,000 sessions, p99',
    most: 5_000,
    unit: 'ms',
    of: (all) => failover(all, 10_000, 'killed')?.p99Ms ?? null,
  },
  {
    name: 'handover, last ack to first ack',
    most: 500,
    unit: 'ms',
    of: (all) => failover(all, 1_000, 'told to stop')?.more?.['ack gap ms'] ?? null,
  },
  ...ATTACKS.map((variant): Target => ({
    name: `calls beside ${variant}, inside the server, p99`,
    most: 3,
    unit: '× quiet',
    of: figure({ work: 'attacks', variant }, 'insideTimesQuiet'),
  })),
  { name: 'SDK decode, w=256', least: 2e6, unit: 'events/s', of: (rows) => rate(rows, { work: 'decode', w: 256 }) },
  {
    name: 'Python client, w=256',
    least: 100_000,
    unit: "events/s of the client's CPU",
    of(rows) {
      const nanoseconds = find(rows, { work: 'python', w: 256 })?.cpuNanoseconds ?? null;
      return nanoseconds === null ? null : 1e9 / nanoseconds;
    },
  },
  { name: 'SDK, min + gzip', most: 14_336, unit: 'bytes', of: figure({ work: 'size' }, 'minGzipBytes') },
];

/** Of the quick run. */
export const gate: readonly Target[] = [
  { name: 'fan-out n=1000, w=1', least: 0.5, unit: '× uws', of: toUws(one) },
  { name: 'fan-out n=1000, w=256', least: 1.5, unit: '× uws', of: toUws(many) },
  ...([1, 256] as const).flatMap((w): Target[] => [
    { name: `rooms of 3, w=${w}`, least: 0.3, unit: '× uws', of: toUws(small(w)) },
    {
      name: `rooms of 3, w=${w}`,
      least: 0.4,
      unit: '× socket.io-uws',
      of: times(small(w), { peer: 'socket.io-uws' }),
    },
  ]),
  ...(['connects', 'joins'] as const).flatMap((work): Target[] => [
    { name: work, least: 0.1, unit: '× uws', of: toUws({ work }) },
    { name: work, least: 0.4, unit: '× socket.io-uws', of: times({ work }, { peer: 'socket.io-uws' }) },
  ]),
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
