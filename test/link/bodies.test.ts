/** Bodies that are on their way when the link ends: nothing of them is executed, and nobody waits for the rest. */
import type { Socket } from 'node:net';
import t from 'tap';
import { dial, readAddress } from '../../src/link/address.js';
import { PART } from '../../src/link/bodies.js';
import { FrameReader, Op, pack, VERSIONS } from '../../src/link/frames.js';
import type { PluginHost } from '../../src/server/api.js';
import { startEdge, startHub } from '../support/hub.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';
import { frame } from './frame.js';

const MIB = 1024 * 1024;

/** A hub that answers a body with as many bytes, and tells the lengths of those it was asked with. */
async function echoing(t: Test) {
  const asked: number[] = [];
  const echo = {
    name: 'echo',
    setup: (host: PluginHost) =>
      host.onRequest(({ body, path }) => {
        asked.push(body.length);
        return Promise.resolve({ status: 200, headers: {}, body: path === '/large' ? Buffer.alloc(MIB) : body });
      }),
  };
  const hub = await startHub(t, { bodyBytes: 16 * MIB, plugins: [echo] });
  return { hub, asked };
}

async function speaksAsEdge(address: string) {
  const socket = await dial(readAddress(address), {});
  const heard: number[] = [];
  const reader = new FrameReader(MIB, (op) => void heard.push(op));
  socket.on('data', (piece: Buffer) => reader.push(piece)).on('error', () => undefined);
  const engine = { name: 'ws', package: 'ws', version: '8', origin: 'official' };
  socket.write(
    frame(Op.JOIN, 0, pack({ versions: VERSIONS, name: 'goes', run: 'r', package: '0', engine, host: '::1' })),
  );
  return { socket, count: (op: number) => heard.filter((one) => one === op).length };
}

const ask = { method: 'POST', path: '/large', query: '', address: '127.0.0.1', headers: {}, bodyTooLarge: false };

t.test('an edge that goes with half of a body, or half of an answer: not executed, and nothing is left', async (t) => {
  const { hub, asked } = await echoing(t);
  const { socket, count } = await speaksAsEdge(hub.address);
  socket.write(frame(Op.ASK, 1, pack({ ...ask, bodyBytes: 3 * PART })));
  for (let i = 0; i < 2; i++) socket.write(frame(Op.PART, 1, Buffer.alloc(PART)));
  socket.write(frame(Op.ASK, 2, pack({ ...ask, bodyBytes: 0 })));
  await until(() => count(Op.CREDIT) === 2, 'it took the half');
  await until(() => count(Op.PART) === 2, 'no more comes without credit');
  socket.destroy();
  await until(() => hub.server.edges().length === 0);
  t.strictSame(asked, [0]);
  await hub.server.close();
  t.strictSame(
    hub.lines.filter(({ level }) => level === 'error'),
    [],
  );
});

t.test(
  'a link that ends under a body: 502, for nobody knows what became of it, and the next is answered',
  async (t) => {
    const { hub, asked } = await echoing(t);
    let link: Socket | undefined;
    const toHub = { text: 'the hub', dial: async () => (link = await dial(readAddress(hub.address), {})) };
    const edge = await startEdge(t, [], { hubs: [toHub] });
    await until(() => hub.server.edges()[0]?.state === 'open');
    const before = link;
    const post = async () => (await fetch(edge.http, { method: 'POST', body: Buffer.alloc(8 * MIB) })).status;
    const first = post();
    await until(() => (link?.bytesWritten ?? 0) > MIB, 'a part of it left');
    link?.destroy();
    t.equal(await first, 502);
    await until(() => link !== before && hub.server.edges()[0]?.state === 'open', 'it is back');
    t.equal(await post(), 200);
    t.strictSame(asked, [8 * MIB]);
  },
);
