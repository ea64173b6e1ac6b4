/**
 * A hub and an edge of different releases: each takes the bytes that the other kind sent in the first version of the link.
 * `data/link-1.json` has the frames of one conversation, by direction; `RECORD=1` writes it anew, which a released version
 * of the link is not to need.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { dial, readAddress } from '../../src/link/address.js';
import { FrameReader, Op } from '../../src/link/frames.js';
import { encode } from '../../src/protocol/codec.js';
import { Op as FrameOp } from '../../src/protocol/frames.js';
import { shortDir, startEdge, startHub } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { frame } from './frame.js';

interface Conversation {
  /** Frames in hex. */
  readonly toHub: string[];
  readonly toEdge: string[];
}

const file = new URL('./data/link-1.json', import.meta.url);
const PATH = '/health/ready';
/** What counts the bytes of its own conversation. */
const OWN: readonly number[] = [Op.TAKEN, Op.CREDIT];

const opOf = (bytes: Buffer): number => bytes[0] as number;
const numberOf = (bytes: Buffer): number => bytes.readUInt32LE(1);
const framesOf = (recorded: readonly string[]): Buffer[] =>
  recorded.map((hex) => Buffer.from(hex, 'hex')).filter((bytes) => !OWN.includes(opOf(bytes)));

function into(found: Buffer[]): (piece: Buffer) => void {
  const reader = new FrameReader(1e6, (op, a, payload) => void found.push(frame(op, a, payload)));
  return (piece) => reader.push(piece);
}

function talks(t: Test, url: string): WireClient {
  const client = new WireClient(url);
  t.teardown(() => client.cut());
  return client;
}

/** Two clients in a topic, one of whom calls and one of whom goes. */
async function record(t: Test): Promise<void> {
  const hub = await startHub(t, { plugins: [http()] });
  const path = join(shortDir(t), 'tap');
  const [toHub, toEdge]: [Buffer[], Buffer[]] = [[], []];
  const tap = createServer((edge) => {
    void dial(readAddress(hub.address), {}).then((stream) => {
      const [forth, back] = [into(toHub), into(toEdge)];
      edge.on('data', (piece: Buffer) => (forth(piece), stream.write(piece))).on('close', () => stream.destroy());
      stream.on('data', (piece: Buffer) => (back(piece), edge.write(piece)));
    });
  }).listen(path);
  t.teardown(() => tap.close());
  const edge = await startEdge(t, `unix:${path}`, { name: 'recorded' });
  await until(() => hub.server.edges()[0]?.state === 'open');
  const stays = await talks(t, edge.url).open();
  const goes = talks(t, edge.url);
  for (const client of [stays, goes]) {
    await client.hello();
    await client.subscribe('chat:1');
  }
  await hub.server.publish('chat:1', 'notice', 'to both');
  await Promise.all([stays, goes].map((client) => client.event('chat:1', 'notice')));
  await stays.call('echo', 'said then');
  await fetch(`${edge.http}${PATH}`);
  goes.socket.close(1000);
  await until(() => hub.server.stats().connections === 1);
  const hex = (frames: Buffer[]): string[] => frames.map((bytes) => bytes.toString('hex'));
  writeFileSync(file, `${JSON.stringify({ toHub: hex(toHub), toEdge: hex(toEdge) }, undefined, 2)}\n`);
}

if (process.env['RECORD'] !== undefined) await record(t);
const recorded = JSON.parse(readFileSync(file, 'utf8')) as Conversation;

t.test('this hub takes what an edge of the first version sends', async (t) => {
  const hub = await startHub(t, { plugins: [http()] });
  const socket = await dial(readAddress(hub.address), {});
  t.teardown(() => socket.destroy());
  const answers: Buffer[] = [];
  socket.on('data', into(answers));
  const frames = framesOf(recorded.toHub);
  const closing = frames.findIndex((bytes) => opOf(bytes) === Op.CLOSED);
  t.ok(closing > 0);
  const got = (op: number): Buffer[] => answers.filter((bytes) => opOf(bytes) === op);
  for (const bytes of frames.slice(0, closing)) {
    const before = got(Op.SEND).length;
    socket.write(bytes);
    // As its client did.
    if (opOf(bytes) === Op.MESSAGE) await until(() => got(Op.SEND).length > before);
  }
  await until(() => got(Op.ANSWER).length === 1, 'the request is answered');
  await until(() => hub.server.stats().connections === 2);
  const ack = Buffer.from(encode('said then'));
  await until(() => got(Op.SEND).some((bytes) => numberOf(bytes) === 1 && bytes.includes(ack)), 'the call is answered');
  await hub.server.publish('chat:1', 'notice', 'now');
  await until(() => got(Op.MULTI).some((bytes) => numberOf(bytes) === 2), 'both are in the topic');
  socket.write(Buffer.concat(frames.slice(closing)));
  await until(() => hub.server.stats().connections === 1, 'one has gone');
  t.match(hub.server.edges(), [{ name: 'recorded', state: 'open', connections: 1 }]);
});

t.test('this edge takes what a hub of the first version sends', async (t) => {
  const path = join(shortDir(t), 'hub');
  const asked: Buffer[] = [];
  const connected = new Promise<Socket>((resolve) => {
    const hub = createServer((stream) => {
      stream.on('data', into(asked)).on('error', () => undefined);
      resolve(stream);
    }).listen(path);
    t.teardown(() => hub.close());
  });
  const { edge, stream, rest } = await connectedTo(t, `unix:${path}`, connected, framesOf(recorded.toEdge));
  const heard = (op: number): Buffer[] => asked.filter((bytes) => opOf(bytes) === op);
  // One after the other: the hub numbered them so.
  const first = talks(t, edge.url);
  await until(() => heard(Op.OPEN).length === 1);
  const second = talks(t, edge.url);
  await until(() => heard(Op.OPEN).length === 2);
  const answer = fetch(`${edge.http}${PATH}`);
  await until(() => heard(Op.ASK).length === 1);
  stream.write(Buffer.concat(rest));
  for (const client of [first, second]) {
    await client.frame(([op]) => op === FrameOp.WELCOME);
    await client.event('chat:1', 'notice');
  }
  await first.frame(([op, , data]) => op === FrameOp.ACK && data === 'said then');
  t.equal((await answer).status, 200);
  t.match(
    edge.lines.filter(({ level }) => level !== 'info' && level !== 'debug'),
    [],
  );
});

/** An edge that has its SETTINGS, and what the hub said after them. */
async function connectedTo(t: Test, address: string, connected: Promise<Socket>, frames: readonly Buffer[]) {
  const settings = frames.findIndex((bytes) => opOf(bytes) === Op.SETTINGS) + 1;
  const starting = startEdge(t, address, { name: 'recorded' });
  const stream = await connected;
  t.teardown(() => stream.destroy());
  stream.write(Buffer.concat(frames.slice(0, settings)));
  return { edge: await starting, stream, rest: frames.slice(settings) };
}
