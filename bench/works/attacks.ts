/**
 * Attacks: what the calls of a legitimate client take (a bystander's, in a thread of its own) while others attack,
 * beside the same in quiet before. Rate and latency are of those calls; timesQuiet is their p99 over the quiet one's in
 * the same round; inside… is the same from when a call was read to when its answer was written, as the server's own process
 * has it (peers/answer-times.ts); serverBusy is the share of the time that the server's process ran. The server has its
 * default rates, unlike in the other works. `n` connections attack.
 */
import { once, setMaxListeners } from 'node:events';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { SignJWT } from 'jose';
import { Bystander, sampleOfSeen, type Seen } from '../load/bystander.js';
import { loadCodec, loadFrames } from '../dist.js';
import { among, compete, fits, type Suite } from '../contest.js';
import type { Answered } from '../peers/peer.js';
import { event, topicName } from '../peers/names.js';
import { clientMessage, upgradeRequest } from '../load/websocket.js';
import type { ATTACKS, Row } from '../result.js';

const { concat, encode } = await loadCodec();
const { Op, SUBPROTOCOL } = await loadFrames();
const SECRET = 'a secret of this benchmark, and of no other';
const token = await new SignJWT({}).setProtectedHeader({ alg: 'HS256' }).setSubject('bench').sign(Buffer.from(SECRET));
const hello = (given: string) => clientMessage(encode([Op.HELLO, 1, { instance: 'attacker', grace: 0, token: given }]));
const HALF_OPEN = 1_000;
/** Frames of one message of a flood. */
const FRAMES = 10_000;
/** Connections at a time that knock with bad tokens. */
const KNOCKING = 20;

type Attack = (port: number, over: AbortSignal) => Promise<void>;

const flood = (frame: (i: number) => unknown[]): Attack => {
  const subscribe = clientMessage(encode([Op.SUBSCRIBE, FRAMES + 1, topicName(0), null]));
  const message = clientMessage(concat(Array.from({ length: FRAMES }, (_, i) => encode(frame(i)))));
  return async (port, over) => {
    while (!over.aborted) {
      const socket = await enter(port, hello(token));
      await eitherOf(socket, over, 'data');
      socket.write(subscribe);
      // Who is let in sends as fast as it is read, until it is closed.
      while (!over.aborted && !socket.destroyed) {
        if (!socket.write(message)) await eitherOf(socket, over, 'drain');
        await delay(1);
      }
      socket.destroy();
    }
  };
};

const attacks: Readonly<Record<(typeof ATTACKS)[number], { readonly n: number; readonly strike: Attack }>> = {
  'bad tokens': { n: KNOCKING, strike: knock },
  'half-open': { n: HALF_OPEN, strike: halfOpen },
  'frame flood': { n: 1, strike: flood((i) => [Op.CALL, i + 1, 'no:such', null]) },
  'publish flood': { n: 1, strike: flood((i) => [Op.PUBLISH, i + 1, topicName(0), event, null, null]) },
  'subscribe flood': { n: 1, strike: flood((i) => [Op.SUBSCRIBE, i + 1, topicName(i + 1), null]) },
};

interface Watched extends Seen {
  readonly busy: number;
  readonly inside: Answered;
}

export async function attacked(suite: Suite): Promise<Row[]> {
  if (!fits(suite, 'attacks', 2 * HALF_OPEN)) return [];
  const seconds = Math.max(suite.seconds, suite.leastSeconds);
  return compete(suite, {
    work: 'attacks',
    contestants: among(suite, ['roomwire']),
    bytes: 0,
    label: 'attacks',
    seconds: (Object.keys(attacks).length + 2) * (1.2 * seconds + 0.3),
    secret: SECRET,
    async turn({ server, sample }) {
      const bystander = await Bystander.start(server.port, { token });
      const watch = async (strike?: Attack): Promise<Watched> => {
        const over = new AbortController();
        // Every connection of an attack listens.
        setMaxListeners(0, over.signal);
        const done = strike?.(server.port, over.signal);
        // An attack that breaks off is none: the figure would be of quiet.
        done?.catch(() => undefined);
        await delay(seconds * 200);
        const before = await server.usage({ collect: false });
        const began = performance.now();
        bystander.begin();
        await delay(seconds * 1_000);
        const seen = await bystander.end();
        const { cpuMicroseconds, answered } = await server.usage({ collect: false });
        const busy = (cpuMicroseconds - before.cpuMicroseconds) / 1_000 / (performance.now() - began);
        over.abort();
        await done;
        await server.rest();
        if (answered === undefined) throw new Error('the server saw none of the calls');
        return { ...seen, busy, inside: answered };
      };
      try {
        await watch();
        const quiet = await watch();
        const add = (variant: string, n: number, seen: Watched, more: Readonly<Record<string, number>> = {}): void => {
          const inside = { insideP50Ms: seen.inside.p50Ms, insideP99Ms: seen.inside.p99Ms };
          const timed = sampleOfSeen(seen, seconds);
          sample({ work: 'attacks', n, w: 1, bytes: 0, variant }, { ...timed, more: { ...inside, ...more } });
        };
        add('quiet', 0, quiet);
        for (const [variant, { n, strike }] of Object.entries(attacks)) {
          const seen = await watch(strike);
          add(variant, n, seen, {
            insideTimesQuiet: seen.inside.p99Ms / quiet.inside.p99Ms,
            timesQuiet: seen.p99Ms / quiet.p99Ms,
            longestMs: seen.longestMs,
            serverBusy: seen.busy,
          });
        }
      } finally {
        await bystander.close();
      }
    },
  });
}

/** Twenty at a time come with a token that is no good, are closed or told to wait, and come again. */
async function knock(port: number, over: AbortSignal): Promise<void> {
  const bad = hello(`${token.slice(0, -4)}AAAA`);
  const one = async (): Promise<void> => {
    while (!over.aborted) {
      const socket = await enter(port, bad);
      await eitherOf(socket, over, 'close');
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: KNOCKING }, one));
}

/** A thousand connections that never finish what they begin; who is cut comes again. */
async function halfOpen(port: number, over: AbortSignal): Promise<void> {
  const first = upgradeRequest(port, { subprotocol: SUBPROTOCOL });
  const one = async (index: number): Promise<void> => {
    await delay(Math.random() * 100);
    while (!over.aborted) {
      const socket = await tcp(port);
      socket.resume();
      socket.write(index % 2 === 0 ? first : first.slice(0, 50));
      await eitherOf(socket, over, 'close');
      socket.destroy();
    }
  };
  await Promise.all(Array.from({ length: HALF_OPEN }, (_, index) => one(index)));
}

async function tcp(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  socket.on('error', () => undefined);
  await new Promise((resolve) => socket.once('connect', resolve).once('close', resolve));
  return socket;
}

/** An upgrade, its answer, then that message. */
async function enter(port: number, message: Buffer): Promise<Socket> {
  const socket = await tcp(port);
  socket.write(upgradeRequest(port, { subprotocol: SUBPROTOCOL }));
  const refused = await new Promise((resolve) => {
    socket.once('data', (head: Buffer) => resolve(!head.toString('latin1').startsWith('HTTP/1.1 101')));
    socket.once('close', () => resolve(true));
  });
  if (refused === true) {
    socket.destroy();
    return socket;
  }
  socket.write(message);
  socket.resume();
  return socket;
}

async function eitherOf(socket: Socket, over: AbortSignal, event: 'close' | 'drain' | 'data'): Promise<void> {
  if (socket.destroyed || over.aborted) return;
  const heard = new AbortController();
  const { signal } = heard;
  await Promise.race([
    once(socket, event, { signal }),
    once(socket, 'close', { signal }),
    once(over, 'abort', { signal }),
  ]).catch(() => undefined);
  heard.abort();
}
