/** The command line, checked. */
import { parseArgs } from 'node:util';
import { PEERS, STORES, type Peer, type StoreName } from './fanout.js';

export const WORKS = ['fanout'] as const;
export type Work = (typeof WORKS)[number];

export const help = `Usage: npm run bench -- [options]

Measures roomwire beside its peers, in interleaved rounds; prints progress to stderr and a table to stdout.

  --quick          n 1000, w 1 and 256: less than a minute
  --only WORKS     of ${WORKS.join(', ')}
  --peers PEERS    of ${PEERS.join(', ')}
  --store STORES   of ${STORES.join(', ')}: what roomwire runs on (default memory)
  --rounds N       rounds of each (default 3)
  --json FILE      writes the results there
  --profile DIR    writes a CPU profile of every server process there; the figures then say less
  --help           this text

Lists are separated by commas.`;

export interface Options {
  readonly help: boolean;
  readonly works: readonly Work[];
  readonly peers: readonly Peer[];
  readonly stores: readonly StoreName[];
  readonly n: readonly number[];
  readonly w: readonly number[];
  readonly rounds: number;
  readonly seconds: number;
  readonly json: string | undefined;
  readonly profile: string | undefined;
}

export class BadOption extends Error {}

/** Throws BadOption with one line. `--n`, `--w` and `--seconds` are for tests and closer looks. */
export function parseOptions(args: readonly string[]): Options {
  const values = parse(args);
  const quick = values.quick === true;
  return {
    help: values.help === true,
    works: chosen('--only', values.only, WORKS, WORKS),
    peers: chosen('--peers', values.peers, PEERS, PEERS),
    stores: chosen('--store', values.store, STORES, ['memory']),
    n: counts('--n', values.n, quick ? [1000] : [100, 1000, 10_000]),
    w: counts('--w', values.w, quick ? [1, 256] : [1, 32, 256]),
    rounds: counts('--rounds', values.rounds, [3])[0] as number,
    seconds: seconds(values.seconds, quick ? 0.8 : 1),
    json: values.json,
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
        only: text,
        peers: text,
        store: text,
        rounds: text,
        json: text,
        profile: text,
        n: text,
        w: text,
        seconds: text,
      },
    }).values;
  } catch (error) {
    throw new BadOption((error as Error).message.split(/[.\n]/)[0]);
  }
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

function seconds(text: string | undefined, preset: number): number {
  if (text === undefined) return preset;
  const number = Number(text);
  if (!(number > 0 && number <= 3600)) throw new BadOption(`--seconds: '${text}' must be a number from 0 to 3600`);
  return number;
}
