/**
 * The Python client: how many events a second it decodes, applies to a room and hands to a handler that does nothing. A
 * WebSocket of this process sends a room's events as fast as the client reads; w events of 64 bytes in a message. Rate and
 * CPU are the client's, of events; a window is a message.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { WebSocketServer, type WebSocket } from 'ws';
import { keyOf } from '../contestants.js';
import type { Suite } from '../contest.js';
import { loadCodec, loadFrames } from '../dist.js';
import { eventsMessage, type Payload } from '../load/premade.js';
import { pinned } from '../machine.js';
import { event } from '../peers/names.js';
import { rowOf, sampleOfTaker, type Cell, type Row, type Sample } from '../result.js';

const cells = (['map', 'bin'] as const).flatMap((data) => [1, 256].map((w) => ({ data, w })));
const contestant = { peer: 'roomwire', store: 'none' } as const;
// The program and the client are beside dist-bench/, which holds only what Node runs.
const PROGRAM = fileURLToPath(new URL('../../bench/peers/python_client.py', import.meta.url));
const CLIENT = fileURLToPath(new URL('../../clients/python', import.meta.url));
const ROOM = 'room:bench';
/** Bytes that wait in the socket: enough for the client never to wait. */
const AHEAD_BYTES = 1_048_576;

const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();

export async function python(suite: Suite): Promise<Row[]> {
  if (!suite.peers.includes('roomwire')) return [];
  const program = ['python3', '/usr/bin/python3'].find(
    (name) => spawnSync(name, ['-c', 'import websockets, msgpack']).status === 0,
  );
  if (program === undefined) {
    if (!suite.planning) suite.progress.say('SKIPPED python: no python3 with websockets and msgpack');
    return [];
  }
  const takes = cells.length * (1.25 * suite.seconds + 0.5);
  if (suite.planning) {
    suite.plan.add(suite.rounds, takes);
    return [];
  }
  const samples = cells.map((): Sample[] => []);
  const cellOf = ({ data, w }: (typeof cells)[number]): Cell => ({ work: 'python', n: 1, w, bytes: 64, variant: data });
  for (let round = 1; round <= suite.rounds; round++) {
    suite.progress.step(`round ${round}/${suite.rounds}  python ${keyOf(contestant)}`);
    for (const [i, cell] of cells.entries()) {
      const { events, seconds, cpuMicroseconds } = await measure(program, cell, suite.seconds);
      const sample = sampleOfTaker({ events, windows: events / cell.w, seconds, cpuMicroseconds });
      samples[i]?.push(sample);
      suite.progress.sample(round, cellOf(cell), contestant, sample);
    }
    suite.plan.did(takes);
  }
  return cells.map((cell, i) => rowOf(cellOf(cell), contestant, samples[i] ?? [], []));
}

interface Measured {
  readonly events: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
}

async function measure(program: string, { data, w }: (typeof cells)[number], seconds: number): Promise<Measured> {
  const server = new WebSocketServer({ host: '127.0.0.1', port: 0, handleProtocols: () => 'roomwire.v1' });
  server.on('connection', (socket) => serve(socket, data, w));
  await once(server, 'listening');
  const url = `ws://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const asked = JSON.stringify({ url, event, seconds, client: CLIENT });
  const [command, ...args] = pinned('server', [program, PROGRAM, asked]);
  const child = spawn(command as string, args, { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const said = await text(child.stdout);
    if (said === '') throw new Error('the Python client ended without a word');
    return JSON.parse(said) as Measured;
  } finally {
    child.kill();
    for (const socket of server.clients) socket.terminate();
    server.close();
  }
}

/** Lets the client in, and sends events from its join on. */
function serve(socket: WebSocket, data: Payload, w: number): void {
  const { bytes, offsetAt } = eventsMessage(ROOM, w, data);
  const offset = new DataView(bytes.buffer, offsetAt);
  let sent = 0;
  const fill = (): void => {
    while (socket.readyState === socket.OPEN && socket.bufferedAmount < AHEAD_BYTES) {
      offset.setUint32(0, sent++ * w + 1);
      // Copied: the next one is written over it.
      socket.send(Buffer.from(bytes));
    }
    if (socket.readyState === socket.OPEN) setImmediate(fill);
  };
  socket.on('error', () => undefined);
  socket.on('message', (message: Buffer) => {
    for (const [op, id] of decodeAll(new Uint8Array(message))) {
      if (op === Op.HELLO) socket.send(encode([Op.WELCOME, id as number, welcome]));
      else if (op === Op.BYE) socket.close();
      else if (op === Op.CALL) {
        socket.send(encode([Op.SUBSCRIBED, ROOM, 'e', 0, true]));
        socket.send(encode([Op.ACK, id as number, joined]));
        fill();
      }
    }
  });
}

const welcome = {
  session: ['sid', 'secret'],
  resumed: false,
  user: { id: 'u', name: 'Ann' },
  expiresAt: null,
  node: 'bench',
  time: Date.now(),
  limits: {},
  pingEvery: 3_600_000,
  features: [],
  topics: {},
};
const joined = {
  metadata: { id: 'bench', version: 1 },
  members: [],
  memberCount: 0,
  complete: true,
  holders: { locks: [], presenter: null, host: null },
  positions: { [ROOM]: ['e', 0] },
};
