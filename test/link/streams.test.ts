/** Answers in parts through an edge: its end, the hub's end, and an edge that does not know them. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { dial, readAddress } from '../../src/link/address.js';
import { FrameReader, Op, pack, unpack } from '../../src/link/frames.js';
import { readEvents } from '../support/event-reader.js';
import { startEdge, startHub } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { frame } from './frame.js';

const PATH = '/api/topics/chat:1/events?live=sse';

async function start(t: Test) {
  const hub = await startHub(t, { plugins: [http()] });
  const edge = await startEdge(t, hub.address);
  await until(() => hub.server.edges()[0]?.state === 'open');
  return { hub, edge, readers: () => hub.server.stats().readers };
}

t.test('readers at edges get the same bytes as one frame, and are no connections', async (t) => {
  const { hub, edge, readers } = await start(t);
  const all = await Promise.all(Array.from({ length: 20 }, () => readEvents(t, edge.http + PATH)));
  t.equal(readers(), 20);
  t.match(hub.server.edges(), [{ connections: 0 }]);
  t.equal(hub.server.stats().connections, 0);
  await hub.server.publish('chat:1', 'notice', 1);
  for (const reader of all) await reader.count(1);
  for (const reader of all) reader.cut();
  await until(() => readers() === 0);
  t.strictSame(
    hub.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

t.test('a drained edge sends its readers elsewhere', async (t) => {
  const { hub, edge, readers } = await start(t);
  const reader = await readEvents(t, edge.http + PATH);
  await until(() => reader.lastEventId !== '');
  hub.server.drainEdge('edge', 1_000);
  await reader.end();
  t.match(reader.own('$end'), [{ data: { name: 'draining' } }]);
  t.equal(readers(), 0);
});

t.test('an edge that goes frees what its readers held, and their answers end', async (t) => {
  const { edge, readers } = await start(t);
  const reader = await readEvents(t, edge.http + PATH);
  t.equal(readers(), 1);
  await Promise.all([edge.close(), reader.end()]);
  await until(() => readers() === 0);
});

t.test('a hub that goes ends the answers at its edges', async (t) => {
  const { hub, edge } = await start(t);
  const reader = await readEvents(t, edge.http + PATH);
  await hub.server.close();
  await reader.end();
  t.equal(reader.ended, 'whole');
});

/** What a hub says to one that speaks for an edge. */
async function speaks(t: Test, address: string, versions: readonly [number, number]) {
  const socket = await dial(readAddress(address), {});
  t.teardown(() => socket.destroy());
  const heard: { op: number; a: number; payload: Buffer }[] = [];
  const reader = new FrameReader(1e6, (op, a, payload) => void heard.push({ op, a, payload: Buffer.from(payload) }));
  socket.on('data', (piece: Buffer) => reader.push(piece));
  let isClosed = false;
  socket.on('close', () => (isClosed = true)).on('error', () => undefined);
  const engine = { name: 'ws', package: 'ws', version: '8', origin: 'official' };
  const join = { versions, name: 'other', run: 'r', package: '0', engine, host: '127.0.0.1' };
  socket.write(frame(Op.JOIN, 0, pack(join)));
  await until(() => heard.some(({ op }) => op === Op.SETTINGS));
  const [path, query] = PATH.split('?');
  const ask = { method: 'GET', path, query, address: '127.0.0.1', headers: {}, bodyTooLarge: false, bodyBytes: 0 };
  socket.write(frame(Op.ASK, 1, pack(ask)));
  await until(() => heard.some(({ op }) => op === Op.ANSWER));
  const answer = unpack<{ status: number; filler?: Uint8Array }>(heard.find(({ op }) => op === Op.ANSWER)!.payload);
  return { socket, heard, answer, isClosed: () => isClosed };
}

t.test('an edge of the first version is told that it cannot, and nothing is held for it', async (t) => {
  const hub = await startHub(t, { plugins: [http()] });
  const { answer } = await speaks(t, hub.address, [1, 1]);
  t.match(answer, { status: 503, filler: undefined });
  t.equal(hub.server.stats().readers, 0);
});

t.test('an edge that gives the exchange up, opens a stream twice or one that there is not', async (t) => {
  const hub = await startHub(t, { plugins: [http()] });
  const readers = (): number => hub.server.stats().readers;
  const number = (value: number): Buffer => Buffer.from(Uint32Array.of(value).buffer);
  const gives = await speaks(t, hub.address, [1, 2]);
  t.equal(gives.answer.status, 200);
  t.ok(gives.answer.filler);
  t.equal(readers(), 1);
  gives.socket.write(frame(Op.ABORT, 1));
  await until(() => readers() === 0);
  gives.socket.write(frame(Op.STREAM, 1, number(1)));
  await until(gives.isClosed, 'it is no edge any more');
  const twice = await speaks(t, hub.address, [1, 2]);
  twice.socket.write(frame(Op.STREAM, 1, number(1)));
  await until(() => twice.heard.some(({ op, a }) => op === Op.SEND && a === 1), 'the first part');
  twice.socket.write(frame(Op.STREAM, 2, number(1)));
  await until(twice.isClosed);
  await until(() => readers() === 0);
});
