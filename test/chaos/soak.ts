/**
 * `npm run soak -- --minutes N`: clients come, join, publish, lock, leave and are cut, over and over, against a server
 * in a child. At the end all have gone, and what the server holds must be back at the baseline taken after the first
 * round: memory after a collection, file descriptors, handles, topics, sessions. Else exit code 1. It also shows what a
 * joined idle session costs, of `--sessions N` (2,000), before the baseline and at the end. Then `--failovers N` (200) of a cluster
 * under load, 20 in a row (`--minutes 0`: those alone). `--quick`: half a minute, 400 sessions, no failovers.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { WebSocket } from 'ws';
import { connect, type Client } from '../../src/client/node.js';
import { environmentSeed, random as seeded } from '../random.js';
import { tokenFor } from '../support/tokens.js';
import { freePort } from '../support/free-port.js';
import { Child, type EngineName, type Holdings, type StoreName } from './child.js';
import { failoverRounds } from './failover-rounds.js';
import { FaultProxy } from './fault-proxy.js';
import { sessionMemory } from './session-memory.js';

const { values } = parseArgs({
  options: {
    minutes: { type: 'string' },
    sessions: { type: 'string' },
    quick: { type: 'boolean', default: false },
    engine: { type: 'string', default: 'auto' },
    store: { type: 'string', default: 'lmdb' },
    clients: { type: 'string', default: '50' },
    failovers: { type: 'string' },
  },
});
const minutes = Number(values.minutes ?? (values.quick ? 0.5 : 10));
const sessions = Number(values.sessions ?? (values.quick ? 400 : 2_000));
const failovers = Number(values.failovers ?? (values.quick ? 0 : 200));
const isCount = (count: number, least: number): boolean => Number.isInteger(count) && count >= least && count <= 10_000;
if (!(minutes >= 0) || !isCount(sessions, 1) || !isCount(failovers, 0)) {
  process.stderr.write('--minutes takes a number, --sessions and --failovers a whole number up to 10,000\n');
  process.exit(2);
}

/** Ms a session outlives its connection: short, so that those who were cut are gone soon. */
const GRACE_MS = 500;
const ROOMS = 8;
/** What the heap and the process may have more than at the baseline: caches that have filled, pages not given back. */
const HEAP_SLACK = 8 * 1024 * 1024;
const RSS_SLACK = 96 * 1024 * 1024;
const FD_SLACK = 2;

const seed = environmentSeed();
const random = seeded(seed);
const began = performance.now();

function say(line: string): void {
  process.stdout.write(`${((performance.now() - began) / 1000).toFixed(0).padStart(5)} s  ${line}\n`);
}

/** The last part; answers the exit code. */
async function failOver(): Promise<number> {
  const problems = await failoverRounds({ seed, engine: values.engine as EngineName, failovers, say });
  for (const problem of problems) process.stderr.write(`soak: ${problem}\n`);
  return problems.length > 0 ? 1 : 0;
}

if (minutes === 0) process.exit(await failOver());
const path = mkdtempSync(join(tmpdir(), 'roomwire-soak-'));
const port = await freePort();
const child = new Child({
  path,
  store: values.store as StoreName,
  engine: values.engine as EngineName,
  port,
  limits: { graceMs: GRACE_MS, graceMaxMs: GRACE_MS, historyEvents: 200, lockMinMs: 10, keyTtlMs: 2_000 },
  ringBytes: 1024 * 1024,
});
await child.start();
const proxy = await FaultProxy.start({ target: port, random });
const did = { visits: 0, published: 0, locked: 0, heard: 0, refused: 0 };
/** What an honest client was told that it should not have been. */
const surprises: string[] = [];
const tokens = await Promise.all(Array.from({ length: 20 }, (_, i) => tokenFor(`u${i}`)));

/** One client's whole life; nothing of it may stay. */
async function visit(): Promise<void> {
  did.visits++;
  const token = tokens[random.below(tokens.length)] as string;
  const client: Client = connect(`ws://127.0.0.1:${proxy.port}`, {
    WebSocket,
    token,
    instance: `v${did.visits}`,
    backoff: { baseMs: 5, maxMs: 100 },
    callTimeoutMs: 5_000,
    onError: () => undefined,
  });
  try {
    const room = client.room(`r${random.below(ROOMS)}`);
    room.on('*', () => did.heard++);
    await room.join({ create: true });
    for (let i = 1 + random.below(20); i > 0; i--) {
      switch (random.below(6)) {
        case 0:
          await room.withLock('x', { ttl: 2_000, wait: random.below(100) }, async (lock) => {
            if (random.chance(0.5)) await lock.message('mine');
          });
          did.locked++;
          break;
        case 1:
          client.volatile(room.topic, 'message', `s${random.below(3)}`, i);
          break;
        case 2: {
          // A topic of its own, which must be forgotten.
          const own = client.subscribe(`chat:${did.visits}-${i}`);
          await own.ready;
          own.unsubscribe();
          break;
        }
        default:
          await room.publish('message', { i, pad: 'x'.repeat(random.below(500)) }, { key: `${did.visits}-${i}` });
          did.published++;
      }
    }
    if (random.chance(0.5)) await room.leave();
  } catch {
    // A cut, a refused lock, a deadline: the others go on.
    did.refused++;
  } finally {
    if (client.state.get().status === 'refused') surprises.push(`refused: ${client.state.get().reason?.code}`);
    client.close();
  }
}

async function churn(until: () => boolean): Promise<void> {
  const lane = async (): Promise<void> => {
    while (!until()) {
      await visit();
      if (random.chance(0.3)) proxy.strike({ lastMs: 100 });
    }
  };
  await Promise.all(Array.from({ length: Number(values.clients) }, lane));
  proxy.calm();
  proxy.cutAll();
}

/** When every session's grace is over: asked again until it is so, and not without end. */
async function settled(): Promise<Holdings> {
  const deadline = performance.now() + 30_000;
  for (;;) {
    const holdings = await child.holdings();
    if ((holdings.sessions === 0 && holdings.connections === 0) || performance.now() > deadline)
      return child.holdings();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(1)} MB`;
const shown = ({ heapUsed, rss, fds, handles, topics, sessions, connections }: Holdings): string =>
  `heap ${mb(heapUsed)}, rss ${mb(rss)}, ${fds} fds, ${handles} handles, ${topics} topics, ${sessions} sessions, ` +
  `${connections} connections`;

async function showSessions(name: string): Promise<void> {
  const { heap, rss } = await sessionMemory({ port, count: sessions, name }, () => child.holdings());
  const kib = (bytes: number): string => `${(bytes / 1024).toFixed(1)} KiB`;
  say(`a joined idle session, of ${sessions}: heap ${kib(heap)}, rss ${kib(rss)}`);
}

const problems: string[] = [];
try {
  say(`SEED=${seed}, ${values.store}, ${minutes} min`);
  let total = minutes * 60_000;
  // The baseline has every room, every code path and every cache in it.
  const warm = Math.min(20_000, total / 4);
  await churn(() => performance.now() - began > warm);
  await settled();
  await showSessions('before');
  const baseline = await settled();
  say(`baseline: ${shown(baseline)}`);
  // The sessions took their own time.
  total += performance.now() - began - warm;
  let next = performance.now();
  const reporter = setInterval(() => {
    if (performance.now() < next) return;
    next = performance.now() + 5_000;
    void child
      .holdings()
      .then((now) => say(`${did.visits} visits, ${did.published} published, ${did.locked} locked; ${shown(now)}`));
  }, 500);
  await churn(() => performance.now() - began > total || child.crashed);
  clearInterval(reporter);
  if (child.crashed) problems.push('the server ended by itself');
  else {
    const end = await settled();
    say(`the end:  ${shown(end)}`);
    const more = (what: keyof Holdings, slack: number): void => {
      const [from, to] = [baseline[what] as number, end[what] as number];
      if (to > from + slack) problems.push(`${what}: ${from} at the baseline, ${to} at the end`);
    };
    more('heapUsed', HEAP_SLACK);
    more('rss', RSS_SLACK);
    more('fds', FD_SLACK);
    more('handles', FD_SLACK);
    more('topics', 0);
    more('sessions', 0);
    more('connections', 0);
    problems.push(...baseline.errors, ...end.errors);
    await showSessions('after');
  }
  problems.push(...surprises);
} finally {
  await proxy.close();
  await child.kill();
  rmSync(path, { recursive: true, force: true });
}
for (const problem of problems) process.stderr.write(`soak: ${problem}\n`);
if (problems.length > 0)
  process.stderr.write(`soak: failed; to replay: SEED=${seed} npm run soak -- --minutes ${minutes}\n`);
say(
  `${did.visits} visits, ${did.published} published, ${did.heard} heard, ${did.locked} locked, ${did.refused} cut short`,
);
process.exit(problems.length > 0 ? 1 : await failOver());
