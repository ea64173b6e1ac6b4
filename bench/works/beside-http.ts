/**
 * Events through one edge beside HTTP through the same edge: from a client's publish to its own delivery (a bystander's,
 * one at a time), while a body of 64 MiB comes in, while an answer of 16 MiB is read slowly, and while 1,000 GETs are asked
 * at once; bodies and GETs each second anew. timesQuiet is their p99 over the quiet one's in the same round. Edge, hub and
 * their load share two cores: what is done for the requests is in the figures.
 */
import { setMaxListeners } from 'node:events';
import { Agent, request } from 'node:http';
import { setTimeout as delay } from 'node:timers/promises';
import { compete, fits, type Suite } from '../contest.js';
import { Bystander, sampleOfSeen, type Seen } from '../load/bystander.js';
import { BODY_BYTES } from '../peers/names.js';
import { BESIDE, type Row } from '../result.js';

const READ_EVERY_MS = 50;
const GETS = 1_000;
const AGAIN_MS = 1_000;

type Load = (port: number, over: AbortSignal) => Promise<unknown>;

const loads: Readonly<Record<(typeof BESIDE)[number], Load>> = {
  'a 64 MiB body': async (port, over) => {
    const body = Buffer.alloc(BODY_BYTES);
    while (!over.aborted) {
      await ask(port, { method: 'POST', path: '/bench/body', body, over });
      await pause(AGAIN_MS, over);
    }
  },
  'a slow reader': async (port, over) => {
    while (!over.aborted) await ask(port, { path: '/bench/answer', pauseMs: READ_EVERY_MS, over });
  },
  '1,000 GETs': async (port, over) => {
    const agent = new Agent({ keepAlive: true, maxSockets: GETS });
    while (!over.aborted) {
      await Promise.all(Array.from({ length: GETS }, () => ask(port, { path: '/health/ready', agent, over })));
      await pause(AGAIN_MS, over);
    }
    agent.destroy();
  },
};

export async function besideHttp(suite: Suite, bytes: number): Promise<Row[]> {
  if (!fits(suite, 'edges', 2 * GETS)) return [];
  const seconds = Math.max(suite.seconds, suite.leastSeconds);
  return compete(suite, {
    work: 'edges',
    contestants: [{ peer: 'roomwire', store: 'memory' }],
    bytes,
    edges: 1,
    label: 'edges, events beside HTTP',
    seconds: (BESIDE.length + 2) * (1.2 * seconds + 0.3),
    async turn({ server, sample }) {
      const bystander = await Bystander.start(server.port, { asks: 'event', bytes });
      const watch = async (load?: Load): Promise<Seen> => {
        const over = new AbortController();
        // Every request of a load listens.
        setMaxListeners(0, over.signal);
        const done = load?.(server.port, over.signal);
        // A load that breaks off is none: the figure would be of quiet.
        done?.catch(() => undefined);
        await delay(seconds * 200);
        bystander.begin();
        const ended = done?.then(() => Promise.reject(new Error('the load ended')));
        await Promise.race([delay(seconds * 1_000), ...(ended === undefined ? [] : [ended])]);
        const seen = await bystander.end();
        over.abort();
        await done;
        await server.rest();
        return seen;
      };
      const add = (variant: string, seen: Seen, more?: Record<string, number>): void =>
        sample(
          { work: 'edges', n: 1, w: 1, bytes, variant },
          { ...sampleOfSeen(seen, seconds), ...(more === undefined ? {} : { more }) },
        );
      try {
        await watch();
        const quiet = await watch();
        add('events, quiet', quiet);
        for (const [name, load] of Object.entries(loads)) {
          const seen = await watch(load);
          add(`events, ${name}`, seen, { timesQuiet: seen.p99Ms / quiet.p99Ms, longestMs: seen.longestMs });
        }
      } finally {
        await bystander.close();
      }
    },
  });
}

async function pause(ms: number, over: AbortSignal): Promise<void> {
  await delay(ms, undefined, { signal: over }).catch(() => undefined);
}

interface Asked {
  readonly path: string;
  readonly over: AbortSignal;
  readonly method?: 'GET' | 'POST';
  readonly body?: Buffer;
  readonly agent?: Agent;
  /** After each part that was read. */
  readonly pauseMs?: number;
}

/** Resolves when the answer is there, or at the end; it must be good. */
function ask(port: number, { path, over, method = 'GET', body, agent, pauseMs }: Asked): Promise<void> {
  return new Promise((resolve, reject) => {
    const failed = (error: Error): void => (over.aborted ? resolve() : reject(error));
    const headers = body === undefined ? {} : { 'content-length': body.length };
    const asked = request({ port, host: '127.0.0.1', path, method, headers, agent: agent ?? false, signal: over });
    asked.on('error', failed);
    asked.on('response', (response) => {
      if (response.statusCode !== 200) failed(new Error(`${path} was answered ${response.statusCode}`));
      response.on('error', failed).on('end', resolve).on('close', resolve);
      response.on('data', () => {
        if (pauseMs === undefined) return;
        response.pause();
        setTimeout(() => response.resume(), pauseMs);
      });
    });
    asked.end(body);
  });
}
