/** What comes to the link's port from those who are no edge, and what an edge may not do: each ends that link alone, with one line. */
import { connect } from 'node:net';
import { connect as connectTls } from 'node:tls';
import t from 'tap';
import { dial, readAddress } from '../../src/link/address.js';
import { number, Op, pack, VERSIONS } from '../../src/link/frames.js';
import { linkTransport } from '../../src/link/hub.js';
import { workers } from '../../src/link/workers.js';
import { http } from '../../src/http/http.js';
import type { PluginHost } from '../../src/server/api.js';
import { startEdge, startHub, type Line } from '../support/hub.js';
import { SECRET } from '../support/tokens.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';
import { frame } from './frame.js';

const PLAIN = '127.0.0.1:0';
const secret = 'a secret of the link that is long enough';
const engine = { name: 'ws', package: 'ws', version: '8', origin: 'official' } as const;
const join = { versions: VERSIONS, name: 'liar', run: 'r', package: '0', engine, host: '127.0.0.1' };
const info = {
  address: '127.0.0.1',
  path: '/',
  query: '',
  authorization: '',
  origin: '',
  host: 'localhost',
  userAgent: '',
  forwardedFor: undefined,
  subprotocols: ['roomwire.v1'],
};

/** Of whose body nothing comes. */
const asksForTen = { method: 'POST', path: '/', query: '', headers: {}, address: '', bodyBytes: 10 };

const warned = (lines: readonly Line[], wanted: RegExp): boolean => lines.some(({ message }) => wanted.test(message));

/** A stranger at the hub's port; `ended` when the hub has closed it. */
async function stranger(address: string) {
  const socket = await dial(readAddress(address), {});
  const ended = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => undefined).resume();
  return { socket, ended };
}

t.test(
  'garbage, a huge length, another protocol, or silence about oneself: closed, told, and nobody else notices',
  async (t) => {
    const hub = await startHub(t, { at: PLAIN });
    const client = await hub.client();
    const huge = frame(Op.JOIN, 0);
    huge.writeUInt32LE(0xffff_fff0, 5);
    const zeros = Buffer.alloc(64);
    for (const [bytes, why] of [
      [Buffer.from('GET / HTTP/1.1\r\nhost: x\r\n\r\n'), /sent a frame of \d+ bytes|is no edge/],
      [huge, /sent a frame of 4294967280 bytes/],
      [zeros, /is no edge of roomwire/],
      [frame(Op.JOIN, 0, Buffer.from([0x93, 1])), /cannot be read/],
      [frame(Op.JOIN, 0, pack('edge')), /structure that is none/],
      [frame(Op.JOIN, 0, pack({ ...join, name: '../etc' })), /cannot be used/],
      [frame(Op.JOIN, 0, pack({ ...join, engine: undefined })), /cannot be used/],
      [frame(Op.OPEN, 1, pack(info)), /does not say who it is/],
    ] as const) {
      const before = hub.lines.length;
      const { socket, ended } = await stranger(hub.address);
      socket.write(bytes);
      await ended;
      await until(() => hub.lines.slice(before).some(({ message }) => why.test(message)), String(why));
    }
    t.equal(await client.call('echo', 1), 1);
    t.strictSame(hub.server.edges(), []);
  },
);

t.test(
  'an edge that lies: of connections, bodies or bytes taken; its link ends, what it does not hold is ignored',
  async (t) => {
    const hub = await startHub(t, { at: PLAIN, bodyBytes: 1_000 });
    const client = await hub.client();
    const lies: [Buffer[], RegExp][] = [
      [[frame(Op.OPEN, 5, pack(info)), frame(Op.OPEN, 5, pack(info))], /opened connection 5 a second time/],
      [[frame(Op.OPEN, 5, pack(info)), frame(Op.OPEN, 4, pack(info))], /opened connection 4 a second time/],
      [[frame(Op.TAKEN, 0x7fff_ffff)], /took bytes that were never sent/],
      [
        [frame(Op.ASK, 1, pack({ method: 'GET', path: '/', query: '', headers: {}, address: '', bodyBytes: 1e12 }))],
        /larger than may be/,
      ],
      [
        [
          frame(Op.ASK, 1, pack({ method: 'POST', path: '/', query: '', headers: {}, address: '', bodyBytes: 3 })),
          frame(Op.PART, 1, Buffer.alloc(9)),
        ],
        /more of a body/,
      ],
      [[frame(Op.OPEN, 1, pack(info)), frame(Op.STALL, 1, Buffer.alloc(3))], /number that is none/],
      [[frame(Op.OPEN, 1, Buffer.from([0x93, 1]))], /cannot be read/],
      [[frame(Op.OPEN, 1, pack(info)), frame(Op.CLOSED, 1, Buffer.alloc(1))], /end without a code/],
      [[frame(Op.OPEN, 1, pack({ ...info, subprotocols: undefined }))], /does not say whose/],
      [[frame(Op.OPEN, 1, pack({ ...info, address: 7 }))], /does not say whose/],
      [[frame(Op.GAUGES, 0, pack({ connections: 1, cpuSeconds: 'much', rssBytes: 1 }))], /gauges that are none/],
      [Array.from({ length: 10_001 }, (_, i) => frame(Op.ASK, i + 1, pack(asksForTen))), /more than 10000 things/],
    ];
    for (const [frames, why] of lies) {
      const { socket, ended } = await stranger(hub.address);
      socket.write(frame(Op.JOIN, 0, pack(join)));
      await until(() => hub.server.edges().length === 1);
      socket.write(Buffer.concat(frames));
      await ended;
      await until(() => warned(hub.lines, why), String(why));
      await until(() => hub.server.edges().length === 0 && hub.server.stats().connections === 1);
    }
    const { socket } = await stranger(hub.address);
    const strange = [Op.MESSAGE, Op.TEXT, Op.DRAIN, Op.PART, Op.ABORT, 200].map((op) =>
      frame(op, 77, Buffer.from('x')),
    );
    socket.write(Buffer.concat([frame(Op.JOIN, 0, pack(join)), ...strange, frame(Op.CREDIT, 77, number(5))]));
    await until(() => hub.server.edges().length === 1);
    t.equal(await client.call('echo', 1), 1);
    t.equal(hub.server.edges().length, 1, 'numbers and ops that nobody knows are ignored');
    socket.destroy();
  },
);

t.test('one who says who he is byte by byte, or pings for ever, keeps no place of an edge', async (t) => {
  const hub = await startHub(t, { at: PLAIN });
  const says = frame(Op.JOIN, 0, pack(join));
  const slow = await stranger(hub.address);
  const pings = await stranger(hub.address);
  let at = 0;
  const timer = setInterval(() => {
    slow.socket.write(says.subarray(at, ++at));
    pings.socket.write(frame(Op.PING, 0));
  }, 200);
  await Promise.all([slow.ended, pings.ended]);
  clearInterval(timer);
  t.equal(hub.lines.filter(({ message }) => message.includes('did not say in time who it is')).length, 2);
});

t.test('an edge that asks and asks, and takes no answer, costs the hub four windows at most', async (t) => {
  const headers = { 'x-large': 'x'.repeat(200_000) };
  const large = {
    name: 'large',
    setup: (host: PluginHost) => host.onRequest(() => Promise.resolve({ status: 200, headers, body: '' })),
  };
  const hub = await startHub(t, { at: PLAIN, plugins: [large] });
  const { socket, ended } = await stranger(hub.address);
  socket.pause();
  socket.write(frame(Op.JOIN, 0, pack(join)));
  await until(() => hub.server.edges().length === 1);
  const asks = { ...asksForTen, bodyBytes: 0 };
  for (let id = 1; hub.server.edges().length === 1; id++) {
    if (!socket.destroyed) socket.write(frame(Op.ASK, id, pack(asks)));
    await new Promise((resolve) => setImmediate(resolve));
    if (id > 1_000) throw new Error('it holds all of it');
  }
  await until(() => warned(hub.lines, /takes nothing of what it asks for/));
  socket.destroy();
  await ended;
});

t.test('a version of the link that only one end speaks is refused, and both ends say so', async (t) => {
  const hub = await startHub(t, { at: PLAIN });
  const { socket, ended } = await stranger(hub.address);
  let told = '';
  socket.on('data', (bytes: Buffer) => (told += bytes.toString('latin1')));
  socket.write(frame(Op.JOIN, 0, pack({ ...join, versions: [7, 9] })));
  await ended;
  t.match(told, /speaks versions 7 to 9 of the link, and the hub 1 to 2/);
  t.ok(warned(hub.lines, /was refused: speaks versions 7 to 9/));
  const { socket: newer } = await stranger(hub.address);
  newer.write(frame(Op.JOIN, 0, pack({ ...join, versions: [1, 9], more: 'fields of a later version' })));
  await until(() => hub.server.edges().length === 1, 'one that speaks ours as well is taken');
  newer.destroy();
});

t.test('a wrong secret, or none: nobody joins, one line at each end, and the right one still can', async (t) => {
  const hub = await startHub(t, { at: PLAIN, security: { secret } });
  const wrong = await startEdge(t, hub.address, { security: { secret: 'another secret, just as long as that one' } });
  await until(() => warned(wrong.lines, /no hub at .*: the secrets differ/));
  await until(() => warned(hub.lines, /could not join/));
  const none = await startEdge(t, hub.address);
  await until(() => none.lines.length > 0);
  const { socket, ended } = await stranger(hub.address);
  socket.write('garbage that is no TLS at all, and long enough to be read');
  await ended;
  const certified = connectTls({
    ...(readAddress(hub.address) as { host: string; port: number }),
    rejectUnauthorized: false,
  });
  await new Promise<void>((resolve) => certified.once('error', () => resolve()));
  const right = await startEdge(t, hub.address, { security: { secret }, name: 'right' });
  await until(() => hub.server.edges()[0]?.state === 'open');
  const client = new WireClient(right.url);
  await client.hello();
  t.equal(await client.call('echo', 1), 1);
  client.cut();
  t.equal(wrong.lines.filter(({ message }) => message.startsWith('no hub')).length, 1, 'it is not told at each try');
});

t.test('where everybody is a guest, an edge that others can reach is refused; with keys it is not', async (t) => {
  const open = await startHub(t);
  const edge = await startEdge(t, open.address, { host: '0.0.0.0' });
  await until(() => warned(edge.lines, /refused this edge: everybody is let in as a guest/));
  await until(() => warned(open.lines, /was refused: everybody is let in as a guest/));
  t.strictSame(open.server.edges(), []);
  const closed = await startHub(t, { auth: { secret: SECRET } });
  await startEdge(t, closed.address, { host: '0.0.0.0', name: 'b' });
  await until(() => closed.server.edges()[0]?.state === 'open');
});

t.test(
  'limits in all hold in all, refusals are in the audit, and a shunned address is shunned at every edge',
  async (t) => {
    const audit: { event: string; target?: string | undefined }[] = [];
    const hub = await startHub(t, {
      auth: { secret: SECRET },
      admission: { connections: 3, badTokensPerSecondPerAddress: 1 },
      audit: (line) => void audit.push(line),
    });
    const edges = [await startEdge(t, hub.address, { name: 'a' }), await startEdge(t, hub.address, { name: 'b' })];
    await until(() => hub.server.edges().filter(({ state }) => state === 'open').length === 2);
    const clients: WireClient[] = [];
    t.teardown(() => clients.forEach((client) => client.cut()));
    let refused = 0;
    for (let i = 0; i < 12; i++) {
      const client = new WireClient([hub, ...edges][i % 3]?.url ?? '');
      const opened = await client.open().then(
        () => true,
        () => false,
      );
      if (opened) clients.push(client);
      else refused++;
    }
    await until(() => hub.server.stats().connections <= 3);
    t.ok(refused >= 9, `${refused} of 12 were refused`);
    await until(() => audit.some(({ event, target }) => event === 'limit' && target === 'connections'));
    for (const client of clients.splice(0)) client.cut();
    await until(() => hub.server.stats().connections === 0);
    for (let i = 0; i < 4; i++) {
      const bad = new WireClient(edges[0]?.url ?? '');
      await bad.hello({ token: 'no token' }).catch(() => undefined);
      bad.cut();
    }
    for (const { url } of edges) {
      await t.rejects(new WireClient(url).open(), { message: /429/ }, url);
    }
  },
);

t.test(
  'a 64 KiB body, an empty one and one too large pass as they would without an edge; a client that goes away harms nobody',
  async (t) => {
    const hub = await startHub(t, {
      bodyBytes: 200_000,
      plugins: [
        {
          name: 'echo',
          setup: (host) =>
            host.onRequest(async (request) =>
              request.path === '/echo'
                ? {
                    status: request.bodyTooLarge ? 413 : 200,
                    headers: { 'x-method': request.method },
                    body: request.body,
                  }
                : undefined,
            ),
        },
        http(),
      ],
    });
    const edge = await startEdge(t, hub.address);
    await until(() => hub.server.edges()[0]?.state === 'open');
    for (const length of [0, 1, 65_536, 65_537, 200_000]) {
      const body = Buffer.alloc(length, 'x');
      const answer = await fetch(`${edge.http}/echo`, { method: 'POST', body });
      t.strictSame(
        [answer.status, answer.headers.get('x-method'), (await answer.arrayBuffer()).byteLength],
        [200, 'POST', length],
      );
    }
    t.equal((await fetch(`${edge.http}/echo`, { method: 'POST', body: Buffer.alloc(200_001) })).status, 413);
    const head = await fetch(`${edge.http}/health/ready`, { method: 'HEAD' });
    t.strictSame([head.status, await head.text()], [200, '']);
    const many = await Promise.all(
      Array.from({ length: 300 }, async () => (await fetch(`${edge.http}/health/ready`)).status),
    );
    t.strictSame([...new Set(many)], [200]);
    const socket = connect(Number(new URL(edge.http).port), '127.0.0.1');
    socket.write('POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 5\r\n\r\nhello');
    socket.destroy();
    t.equal((await fetch(`${edge.http}/health/ready`)).status, 200);
  },
);

t.test('options that let others in, or cannot work, throw at once', (t) => {
  const far = [{ host: '192.0.2.1', port: 1 }];
  t.throws(() => linkTransport({ at: far }), { message: /refusing a plain link to 192\.0\.2\.1:1.*--insecure-link/ });
  t.doesNotThrow(() => linkTransport({ at: far, security: { insecure: true } }));
  t.doesNotThrow(() => linkTransport({ at: far, security: { secret } }));
  t.throws(() => linkTransport({ at: [], security: { secret: 'short' } }), { message: /32 characters/ });
  t.throws(() => linkTransport({ at: far, security: { cert: 'x' } }), { message: /all of cert, key and ca/ });
  for (const count of [-1, 1.5, 1_000, Number.NaN]) t.throws(() => workers({ count }), { message: /takes auto/ });
  for (const text of ['', 'host', 'host:99999', 'a b:1', `/${'x'.repeat(200)}`])
    t.throws(() => readAddress(text), TypeError);
  t.strictSame(readAddress('[::1]:8421'), { host: '::1', port: 8421 });
  t.strictSame(readAddress('unix:/run/hub'), { path: '/run/hub' });
  t.end();
});
