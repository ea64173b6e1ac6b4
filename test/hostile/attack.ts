/**
 * The frame of an attack: a server and an onlooker in processes of their own, a quiet second to compare with,
 * the attack, and the aftermath. The onlooker must have been answered throughout, and the server be back at
 * what it held before. ROOMWIRE_ATTACKS=full takes the full counts (npm run attacks), else a twentieth.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import type { Test } from 'tap';
import { Child, type Holdings, type ServeOptions } from '../chaos/child.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { programArgs } from '../support/program.js';
import { engine, storeName } from '../support/server.js';
import { tokenFor } from '../support/tokens.js';
import { WireClient } from '../support/wire-client.js';

/** What the onlooker saw; ms. */
export interface Seen {
  readonly answers: number;
  /** Times it came anew. */
  readonly arrivals: number;
  /** The longest it took to be let in. */
  readonly arrival: number;
  readonly p50: number;
  readonly p99: number;
  readonly longest: number;
}

export interface Target {
  readonly port: number;
  readonly url: string;
  /** A token of that user. */
  readonly token: (user: string) => Promise<string>;
  readonly holdings: () => Promise<Holdings>;
  /** Resolves when the server holds what `is` asks for; fails the test after `ms`. */
  readonly until: (what: string, ms: number, is: (holdings: Holdings) => boolean) => Promise<Holdings>;
}

export interface Attack {
  /** Called with a small share first, to warm up what stays warm, then with the whole. Resolves when the attackers have gone. */
  readonly strike: (target: Target, share: number) => Promise<void>;
  /** Ms until nothing is left of it. Default 30,000: a bound, which a busy machine may need. */
  readonly settleMs?: number;
  /** Topics that it wrote to stay in memory: so many. */
  readonly topics?: number;
  /** False: without the small share. */
  readonly warm?: boolean;
}

/** Options of the server that is attacked. */
export type Server = Omit<Partial<ServeOptions>, 'path' | 'store' | 'engine' | 'port'>;

const full = process.env['ROOMWIRE_ATTACKS'] === 'full';
const QUIET_MS = 700;
/** What may be more than before: caches that are full then, of bounded size; pages that the allocator keeps. */
const HEAP_MARGIN = 12 * 1024 * 1024;
const RSS_MARGIN = 96 * 1024 * 1024;
/** The onlooker's longest wait over its quiet p99, and its median over its quiet p99. Not what is good (that is for the benchmark) but what is alive. */
const LONGEST = 200;
const MEDIAN = 20;
/** A quiet p99 below that is as good as that. */
const LEAST_MS = 5;

/** That many in a full run. */
export const count = (whole: number): number => (full ? whole : Math.ceil(whole / 20));

/** As many connections as this process and the server may have, and says so when that is less. */
export function connections(t: Test, wanted: number): number {
  // Node raises the soft limit to the hard one.
  const line = process.platform === 'linux' ? readFileSync('/proc/self/limits', 'latin1') : '';
  const most = Number(/^Max open files +(\d+)/m.exec(line)?.[1] ?? 1_024) - 200;
  if (most < wanted) t.comment(`SCALED DOWN from ${wanted} to ${most} connections: that many files may be open here`);
  return Math.min(wanted, most);
}

/** A TCP connection, as far as it is there; errors are the attacker's own. */
export async function tcp(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await Promise.race([once(socket, 'connect'), once(socket, 'close')]).catch(() => undefined);
  return socket;
}

/** Runs `work` for each index, `parallel` at a time. */
export async function each(n: number, parallel: number, work: (index: number) => Promise<unknown>): Promise<void> {
  let next = 0;
  const worker = async (): Promise<void> => {
    while (next < n) await work(next++);
  };
  await Promise.all(Array.from({ length: Math.min(n, parallel) }, worker));
}

/** A client that has said HELLO and reads only for the close. */
export async function attacker(url: string, hello: object): Promise<WireClient> {
  const client = new WireClient(url);
  await client.hello(hello);
  client.socket.removeAllListeners('message');
  client.socket.on('message', () => undefined);
  return client;
}

/** Resolves when all that was sent has left this process, or the connection is over. */
export async function flushed(client: WireClient): Promise<void> {
  while (client.socket.bufferedAmount > 0 && client.socket.readyState === 1) await delay(1);
}

async function onlooker(t: Test, url: string): Promise<{ begin(): void; end(): Promise<Seen> }> {
  const program = new URL('./onlooker-child.ts', import.meta.url);
  const child: ChildProcess = spawn(process.execPath, [...programArgs(program), url, await tokenFor('onlooker')], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  const died = once(child, 'exit').then(() => {
    throw new Error('the onlooker was turned away');
  });
  died.catch(() => undefined);
  const heard = async (): Promise<unknown> => {
    const [message] = (await Promise.race([once(child, 'message'), died])) as [unknown];
    return message;
  };
  t.teardown(() => child.kill('SIGKILL'));
  await heard();
  return {
    begin: () => void child.send('begin'),
    async end() {
      child.send('end');
      return (await heard()) as Seen;
    },
  };
}

/** A server and an onlooker, for several attacks one after the other. */
export async function arena(t: Test, server: Server = {}): Promise<(t: Test, attack: Attack) => Promise<void>> {
  const child = new Child({
    path: t.testdir(),
    store: storeName === 'lmdb' ? 'lmdb' : 'memory',
    engine,
    port: 0,
    pingEvery: 25_000,
    pingTimeout: 10_000,
    ...server,
    // Its own default is not to have rates.
    limits: { ...defaultLimits, ...server.limits },
    admission: { trustedProxies: ['127.0.0.1'], ...server.admission },
  });
  const port = await child.start();
  t.teardown(() => child.kill());
  const url = `ws://127.0.0.1:${port}`;
  const other = await onlooker(t, url);
  other.begin();
  await delay(QUIET_MS);
  const quiet = await other.end();
  return (test, attack) => suffer(test, attack, { child, port, url, other, quiet });
}

interface Arena {
  readonly child: Child;
  readonly port: number;
  readonly url: string;
  readonly other: Awaited<ReturnType<typeof onlooker>>;
  readonly quiet: Seen;
}

async function suffer(
  t: Test,
  { strike, settleMs = 30_000, topics: written = 0, warm = true }: Attack,
  { child, port, url, other, quiet }: Arena,
): Promise<void> {
  const until: Target['until'] = async (what, ms, is) => {
    const end = performance.now() + ms;
    for (;;) {
      const holdings = await child.holdings();
      if (is(holdings)) return holdings;
      if (performance.now() > end) {
        const { connections, sessions, topics, fds } = holdings;
        t.fail(`${what}: not after ${ms} ms`, { connections, sessions, topics, fds });
        return holdings;
      }
      await delay(50);
    }
  };
  const target: Target = { port, url, token: tokenFor, holdings: () => child.holdings(), until };
  const idle = await child.holdings();
  const back = ({ connections, sessions, topics, fds }: Holdings): boolean =>
    connections <= idle.connections && sessions <= idle.sessions && topics <= idle.topics + written && fds <= idle.fds;
  if (warm) {
    await strike(target, 0.1);
    await until('back after the warm-up', settleMs, back);
  }
  const before = await child.holdings();

  const began = performance.now();
  other.begin();
  await strike(target, 1);
  const seen = await other.end();
  const seconds = (performance.now() - began) / 1_000;
  const after = await until('connections, sessions, topics and files are back', settleMs, back);

  const ms = (value: number): string => value.toFixed(1);
  const mib = (bytes: number): string => `${(bytes / 1024 / 1024).toFixed(1)} MiB`;
  t.comment(
    `${seconds.toFixed(1)} s; onlooker ${seen.answers} answers, ${seen.arrivals} arrivals (longest ${ms(seen.arrival)} ms), p50 ${ms(seen.p50)} (quiet ` +
      `${ms(quiet.p50)}), p99 ${ms(seen.p99)} (${ms(quiet.p99)}), longest ${ms(seen.longest)} ms (${ms(quiet.longest)}); heap ` +
      `${mib(after.heapUsed - before.heapUsed)}, rss ${mib(after.rss - before.rss)} more`,
  );
  const norm = Math.max(LEAST_MS, quiet.p99);
  t.ok(seen.answers > 0, 'the onlooker was answered');
  t.ok(seen.arrivals > 0, 'it came in anew meanwhile');
  // How long that takes is judged where the machine is the attack's own.
  if (full) {
    // Of a few answers the median is any of them.
    if (seen.answers >= 20)
      t.ok(seen.p50 <= MEDIAN * norm, `the onlooker's median wait was ${ms(seen.p50)} ms, quiet p99 ${ms(norm)}`);
    t.ok(seen.longest <= LONGEST * norm, `its longest wait was ${ms(seen.longest)} ms`);
    t.ok(seen.arrival <= LONGEST * norm, `which took at most ${ms(seen.arrival)} ms`);
  }
  t.notOk(child.crashed, 'the server runs');
  t.strictSame([...before.errors, ...after.errors], [], 'it logged no error');
  const grown = after.heapUsed + after.external - before.heapUsed - before.external;
  t.ok(grown <= HEAP_MARGIN, `its heap is back, with ${mib(grown)} more`);
  t.ok(after.rss - before.rss <= RSS_MARGIN, `its memory is back, with ${mib(after.rss - before.rss)} more`);
}
