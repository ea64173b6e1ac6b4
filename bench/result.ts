/** What is measured of one contestant in one cell, over rounds: medians, ranges, and ratios to uws within a round. */
import type { Contestant } from './contestants.js';
import type { Windows } from './load/generator.js';

export const WORKS = [
  'fanout',
  'dual',
  'rooms',
  'topics',
  'latency',
  'calls',
  'locks',
  'connects',
  'joins',
  'sessions',
  'reconnects',
  'stalled',
  'attacks',
  'memory',
  'edges',
  'cluster',
  'failover',
  'decode',
  'python',
  'size',
] as const;
/** Variants of the work `attacks`. */
export const ATTACKS = ['bad tokens', 'half-open', 'frame flood', 'publish flood', 'subscribe flood'] as const;
/** HTTP that events pass through an edge beside: variants of the work `edges`. */
export const BESIDE = ['a 64 MiB body', 'a slow reader', '1,000 GETs'] as const;
/** Variants of the work `sessions`. */
export const STEPS = ['upgrade', 'HELLO', 'subscribe 3 topics', 'resume, 3 topics', 'create and join', 'join'] as const;
export type Step = (typeof STEPS)[number];
/** Variants of the work `latency`. */
export const REACHED = '16 under way';
export const SEVENTY = '70 % of it';
export const SHARES = [
  { of: 0.5, name: '50 % of it' },
  { of: 0.7, name: SEVENTY },
  { of: 0.9, name: '90 % of it' },
] as const;
/** Deliveries a second. */
export const COMMON_RATE = { perSecond: 40_000, name: '40 k/s' };
export type Work = (typeof WORKS)[number];

/** One round's. What a work cannot tell is null. */
export interface Sample {
  /** Deliveries, calls, joins … */
  readonly perSecond: number | null;
  /** CPU time of the server process, all threads, per delivery. */
  readonly cpuNanoseconds: number | null;
  /** Per window, call, client …, as the work says. */
  readonly p50Ms: number | null;
  readonly p99Ms: number | null;
  readonly windows: number;
  readonly deliveries: number;
  /** Bytes on the wire per delivery, WebSocket headers included. */
  readonly wireBytes: number | null;
  /** How busy the load's core was, 0 to 1. */
  readonly load: number | null;
  /** What only this work measures; the names hold the units. */
  readonly more?: Readonly<Record<string, number>>;
}

export interface Cell {
  readonly work: Work;
  /** Subscribers, clients, topics …, as the work says. */
  readonly n: number;
  /** Events a window. */
  readonly w: number;
  readonly bytes: number;
  /** Tells cells of one work apart that n, w and bytes do not. */
  readonly variant?: string;
}

export interface Row extends Cell, Sample, Contestant {
  /** The lowest and highest `perSecond` over the rounds. */
  readonly range: readonly [number, number] | null;
  /** Against uws in the same rounds; above 1 is better. Null where it did not run. */
  readonly toUws: { readonly perSecond: number; readonly cpu: number } | null;
}

export function sampleOf(windows: Windows, cpuMilliseconds: number): Sample {
  const { deliveries, seconds, latencies, wireBytes, load, more } = windows;
  return {
    perSecond: deliveries / seconds,
    cpuNanoseconds: (cpuMilliseconds * 1e6) / deliveries,
    p50Ms: quantile(latencies, 0.5),
    p99Ms: quantile(latencies, 0.99),
    windows: windows.windows,
    deliveries,
    wireBytes,
    load,
    ...(more === undefined ? {} : { more }),
  };
}

/** Of a program that takes events as fast as it can: one has no latency, and there is no load beside it. */
export function sampleOfTaker(taken: {
  readonly events: number;
  readonly windows: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
}): Sample {
  const { events, windows, seconds, cpuMicroseconds } = taken;
  return {
    perSecond: events / seconds,
    cpuNanoseconds: (cpuMicroseconds * 1000) / events,
    p50Ms: null,
    p99Ms: null,
    windows,
    deliveries: events,
    wireBytes: null,
    load: null,
  };
}

export function rowOf(cell: Cell, contestant: Contestant, samples: readonly Sample[], uws: readonly Sample[]): Row {
  const middle = (of: (sample: Sample) => number | null): number | null => medianOf(samples.map(of));
  const rates = samples.map(({ perSecond }) => perSecond).filter((rate) => rate !== null);
  const names = Object.keys(samples[0]?.more ?? {});
  // Of one round's neighbours, so that what else the machine did hit both.
  const ratio = (of: (own: Sample, other: Sample) => number | null): number | null =>
    medianOf(samples.map((sample, round) => (uws[round] === undefined ? null : of(sample, uws[round]))));
  const perSecond = ratio((own, other) => over(own.perSecond, other.perSecond));
  const cpu = ratio((own, other) => over(other.cpuNanoseconds, own.cpuNanoseconds));
  return {
    ...cell,
    ...contestant,
    perSecond: middle((sample) => sample.perSecond),
    range: rates.length === 0 ? null : [Math.min(...rates), Math.max(...rates)],
    cpuNanoseconds: middle((sample) => sample.cpuNanoseconds),
    p50Ms: middle((sample) => sample.p50Ms),
    p99Ms: middle((sample) => sample.p99Ms),
    windows: samples.reduce((sum, { windows }) => sum + windows, 0),
    deliveries: samples.reduce((sum, { deliveries }) => sum + deliveries, 0),
    wireBytes: middle((sample) => sample.wireBytes),
    load: middle((sample) => sample.load),
    ...(names.length === 0
      ? {}
      : {
          more: Object.fromEntries(names.map((name) => [name, middle((sample) => sample.more?.[name] ?? null) ?? 0])),
        }),
    toUws: perSecond === null || cpu === null ? null : { perSecond, cpu },
  };
}

const over = (a: number | null, b: number | null): number | null =>
  a === null || b === null || b === 0 ? null : a / b;

/** The smallest value that is not below a share `q` of all; `sorted` must not be empty. */
export function quantile(sorted: Float64Array, q: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))] as number;
}

/** Of those that are not null; null when none is. */
export function medianOf(values: readonly (number | null)[]): number | null {
  const sorted = Float64Array.from(values.filter((value) => value !== null)).sort();
  if (sorted.length === 0) return null;
  const half = sorted.length >> 1;
  return sorted.length % 2 === 1 ? (sorted[half] as number) : ((sorted[half - 1] ?? 0) + (sorted[half] ?? 0)) / 2;
}
