/** The command line, checked. */
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { BEFORE, LOGS, PEERS, STORES, type LogName, type Peer, type StoreName } from './contestants.js';
import { QUIET } from './machine.js';
import { WORKS, type Work } from './result.js';

/** Where a run of everything leaves its results; the README's tables and charts are made of them (npm run docs:bench). */
const RESULTS = 'bench/results/full.json';

export const help = `Usage: npm run bench -- [options]

Measures roomwire beside its peers, in interleaved rounds; prints progress to stderr and a table to stdout.

  --quick          fan-out only, n 1000, w 1 and 256, 64 B, all peers: less than a minute; with --only other
                   works, with 1,000 clients and two rounds
  --only WORKS     of ${WORKS.join(', ')}
  --peers PEERS    of ${PEERS.join(', ')}
  --store STORES   of ${STORES.join(', ')}: what roomwire runs on (default both; memory with --quick)
  --logs LOGS      of ${LOGS.join(', ')}: engines for the log of a cluster (default all; postgres with --quick);
                   one that is not installed is skipped
  --against DIR    measures the roomwire of another checkout, built, beside this one: the store 'before' (on memory)
  --rounds N       rounds of each (default 3; 2 with --quick)
  --json FILE      writes the results there (a whole run: default ${RESULTS})
  --gate           fan-out, small rooms and joins, quick, against uws and Socket.IO on it alone; exit code 1 when
                   roomwire fell far behind, in each of three tries
  --profile DIR    writes a CPU profile of every server process there, and says what each sample's time went into;
                   the figures then say less
  --soak S         memory alone: its sessions are measured again after S seconds in which others come and go
  --help           this text

For closer looks: --n and --w (lists), --bytes (lists), --clients N, --seconds S.
Lists are separated by commas. A run of everything first waits for a quiet machine (a load average of ${QUIET}), for
three minutes at most.`;

/** What is measured, how large and how long. */
export interface Measured {
  readonly peers: readonly Peer[];
  /** Of roomwire. */
  readonly stores: readonly (StoreName | typeof BEFORE)[];
  /** Of a cluster's log. */
  readonly logs: readonly LogName[];
  /** The checkout of what is called `before`. */
  readonly against: string | undefined;
  readonly n: readonly number[];
  readonly w: readonly number[];
  readonly bytes: readonly number[];
  /** Clients of the storms, sessions of the memory work. */
  readonly clients: number;
  readonly rounds: number;
  /** Measured time of a cell; a quarter of it warms up before. */
  readonly seconds: number;
  /** For works whose percentiles need many samples. */
  readonly leastSeconds: number;
  /** How long works of connections, joins and locks warm up, and others half as long; 0: no longer than they must. */
  readonly warmSeconds: number;
  /** Of the memory work: how long its sessions stay. */
  readonly soakSeconds: number;
  /** A directory for CPU profiles. */
  readonly profile: string | undefined;
}

export interface Options extends Measured {
  readonly help: boolean;
  readonly works: readonly Work[];
  readonly json: string | undefined;
  readonly gate: boolean;
  /** A run of everything, as it is published. */
  readonly whole: boolean;
}

const GATE_WORKS = ['fanout', 'rooms', 'connects', 'joins'] as const;

export class BadOption extends Error {}

/** Throws BadOption with one line. */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  const gate = values.gate === true;
  const quick = values.quick === true || gate;
  const whole = Object.keys(values).every((flag) => flag === 'json');
  return {
    help: values.help === true,
    works: chosen('--only', values.only, WORKS, gate ? GATE_WORKS : quick ? ['fanout'] : WORKS),
    peers: chosen('--peers', values.peers, PEERS, gate ? ['roomwire', 'uws', 'socket.io-uws'] : PEERS),
    stores: [
      ...chosen('--store', values.store, STORES, quick ? ['memory'] : STORES),
      ...(values.against === undefined ? [] : ([BEFORE] as const)),
    ],
    logs: chosen('--logs', values.logs, LOGS, quick ? ['postgres'] : LOGS),
    against: built(values.against),
    n: counts('--n', values.n, quick ? [1000] : [100, 1000, 10_000]),
    w: counts('--w', values.w, quick ? [1, 256] : [1, 32, 256]),
    bytes: counts('--bytes', values.bytes, quick ? [64] : [64, 1024]),
    clients: counts('--clients', values.clients, [quick ? 1_000 : 10_000])[0] as number,
    rounds: counts('--rounds', values.rounds, [quick ? 2 : 3])[0] as number,
    seconds: seconds('--seconds', values.seconds, 0.6),
    leastSeconds: quick || values.seconds !== undefined ? 0 : 1.5,
    warmSeconds: quick || values.seconds !== undefined ? 0 : 3,
    soakSeconds: seconds('--soak', values.soak, 0),
    json: values.json ?? (whole ? RESULTS : undefined),
    gate,
    whole,
    profile: values.profile,
  };
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const;
  const flag = { type: 'boolean' } as const;
  try {
    return parseArgs({
      args: [...args],
      options: {
        quick: flag,
        help: flag,
        gate: flag,
        only: text,
        peers: text,
        store: text,
        logs: text,
        rounds: text,
        json: text,
        bytes: text,
        clients: text,
        profile: text,
        against: text,
        n: text,
        w: text,
        seconds: text,
        soak: text,
      },
    }).values;
  } catch (error) {
    throw new BadOption((error as Error).message.split(/[.\n]/)[0]);
  }
}

/** Throws BadOption for a folder in which nothing is built. */
function built(directory: string | undefined): string | undefined {
  if (directory === undefined) return undefined;
  const dist = resolve(directory, 'dist');
  if (existsSync(join(dist, 'server/server.js'))) return dist;
  throw new BadOption(`--against: ${dist} holds no build; run npm ci && npm run build there`);
}

function chosen<T extends string>(flag: string, text: string | undefined, all: readonly T[], preset: readonly T[]) {
  if (text === undefined) return preset;
  const names = text.split(',');
  const unknown = names.find((name) => !all.includes(name as T));
  if (unknown !== undefined) throw new BadOption(`${flag}: '${unknown}' is none of ${all.join(', ')}`);
  return [...new Set(names)] as T[];
}

function counts(flag: string, text: string | undefined, preset: readonly number[]): readonly number[] {
  if (text === undefined) return preset;
  const numbers = text.split(',').map(Number);
  if (!numbers.every((number) => Number.isInteger(number) && number > 0 && number <= 1_000_000)) {
    throw new BadOption(`${flag}: '${text}' must be a whole number from 1 to 1,000,000`);
  }
  return numbers;
}

function seconds(flag: string, text: string | undefined, preset: number): number {
  if (text === undefined) return preset;
  const number = Number(text);
  if (!(number > 0 && number <= 3600)) throw new BadOption(`${flag}: '${text}' must be a number from 0 to 3600`);
  return number;
}
