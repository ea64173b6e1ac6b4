/** What breaks the encoding or the greeting closes with its code, and disturbs nobody else. */
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { gatedStore } from '../support/gated-store.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { testStore } from '../support/server.js';
import { frame as rawFrame, opcodes, RawClient } from '../transport/raw-client.js';
import { bystander } from './bystander.js';
import { broken, closing, hex, nested, proto } from './bytes.js';

t.test(
  'an encoding error closes with 4000 and the index of its frame, and nothing of the message happens',
  async (t) => {
    const s = await startOpen(t);
    const other = await bystander(t, s);
    await other.subscribe('chat:1');
    const publish = encode([Op.PUBLISH, 0, 'chat:1', 'message', null, 'must not come']);
    for (const [what, bytes, reason] of broken) {
      const bad = await s.client();
      await bad.subscribe('chat:1');
      const ending = await closing(bad, concat([publish, publish, bytes]));
      t.match(ending, { code: 4000, reason: /^frame 2: / }, what);
      t.match(ending.reason, reason, what);
      t.match(bad.frames.at(-1), [Op.GOAWAY, 4000, ending.reason], `${what}: GOAWAY says the same`);
      // Before HELLO the size is looked at first.
      const early = bytes.length > defaultLimits.helloBytes ? { code: 4005 } : { code: 4000, reason: /^frame 0: / };
      t.match(await closing(s.connect(), bytes), early, `${what}, instead of HELLO`);
    }
    const trailing = await s.client();
    t.match(await closing(trailing, concat([publish, hex('00')])), {
      code: 4000,
      reason: 'frame 1: frame is not an array',
    });
    await other.publish('chat:1', 'message', 'mine');
    await other.event('chat:1', 'message');
    t.strictSame(
      other.events('chat:1').map(([offset, , data]) => [offset, data]),
      [[1, 'mine']],
    );
    await other.undisturbed();
  },
);

t.test('an empty message closes with 4000, before HELLO and after', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const ending = { code: 4000, reason: 'frame 0: empty message' };
  t.strictSame(await closing(s.connect(), new Uint8Array()), ending);
  t.strictSame(await closing(await s.client(), new Uint8Array()), ending);
  await other.undisturbed();
});

t.test('31 levels are answered: the bound is where RW-ENC-4 says', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const deep = await s.client();
  deep.send([Op.PING, nested(30)]);
  t.strictSame((await deep.frame(([op]) => op === Op.PONG))[1], nested(30));
  t.strictSame(await deep.call('echo', nested(30)), nested(30));
  await deep.subscribe('chat:1');
  await deep.publish('chat:1', 'message', nested(30));
  t.strictSame(await deep.event('chat:1', 'message'), nested(30));
  deep.send([Op.VOLATILE, 'chat:1', 'message', 'slot', nested(30)]);
  t.strictSame((await deep.frame(([op]) => op === Op.LATEST))[4], nested(30));
  await other.undisturbed();
});

t.test('a text message closes with 4001 whatever it says, before HELLO and after', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  for (const text of ['', '[1,1,{"instance":"x"}]', '\u0003']) {
    t.equal((await closing(s.connect(), text)).code, 4001);
    t.equal((await closing(await s.client(), text)).code, 4001);
  }
  // Bytes that are valid frames are no message when they come as text.
  const bad = await s.client();
  const ping = '\u0092\u0003\u0007';
  t.equal((await closing(bad, ping)).code, 4001);
  const back = await s.client({ session: bad.welcome.session });
  t.equal(back.welcome.resumed, true, 'the session outlives the mistake');
  await other.undisturbed();
});

t.test('anything before HELLO closes with 4003 and does nothing', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  const frames: readonly (readonly unknown[])[] = [
    [Op.PING, 1],
    [Op.PONG, 1],
    [Op.BYE],
    [Op.WELCOME, 1, {}],
    [Op.AUTH, 1, 'token'],
    [Op.CALL, 1, 'echo', 1],
    [Op.SUBSCRIBE, 1, 'chat:1', null],
    [Op.PUBLISH, 1, 'chat:1', 'message', null, 1],
    [Op.VOLATILE, 'chat:1', 'message', 'slot', 1],
    [99],
  ];
  for (const frame of frames) t.equal((await closing(s.connect(), [frame])).code, 4003, `opcode ${frame[0] as number}`);
  t.strictSame(other.events('chat:1'), []);
  t.equal(other.frames.filter(([op]) => op === Op.LATEST).length, 0);
  await other.undisturbed();
});

t.test('HELLO with company closes with 4003: no session begins and the company is not executed', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  const hello = [Op.HELLO, 1, { instance: 'test', resume: { 'chat:1': ['x', 0] } }];
  const publish = [Op.PUBLISH, 0, 'chat:1', 'message', null, 'must not come'];
  for (const message of [
    [hello, publish],
    [publish, hello],
    [hello, hello],
    [hello, [Op.PING, 1]],
  ]) {
    const bad = s.connect();
    t.equal((await closing(bad, message)).code, 4003);
    t.strictSame(
      bad.frames.map(([op]) => op),
      [Op.GOAWAY],
    );
  }
  t.equal(await s.server.transact((tx) => tx.list('sessions', { limit: 9 }).length), 1);
  t.strictSame(other.events('chat:1'), []);
  await other.undisturbed();
});

t.test('frames before WELCOME close with 4003, and so does a second HELLO then', async (t) => {
  const store = gatedStore(testStore(t));
  const time = new ManualTime();
  const s = await startOpen(t, { store, time });
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  for (const early of [
    [Op.PUBLISH, 0, 'chat:1', 'message', null, 1],
    [Op.PING, 1],
    [Op.HELLO, 2, { instance: 'test' }],
  ]) {
    store.hold();
    const bad = await s.connect().open();
    bad.send([Op.HELLO, 1, { instance: 'test', resume: { 'chat:1': ['x', 0] } }]);
    await store.held();
    t.equal((await closing(bad, [early])).code, 4003);
    store.release();
    // Behind what was held.
    await s.server.transact((tx) => tx.now);
    t.strictSame(
      bad.frames.map(([op]) => op),
      [Op.GOAWAY],
      'no WELCOME',
    );
  }
  time.advance(100);
  t.equal(await s.server.transact((tx) => tx.list('sessions', { limit: 9 }).length), 1, 'no session is left');
  t.equal((await other.publish('chat:1', 'message', 'mine')).matched, 1);
  await other.undisturbed();
});

t.test('a second HELLO closes with 4003; what came before it counts, what follows does not', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  const bad = await s.client();
  await bad.subscribe('chat:1');
  const publish = (data: string) => [Op.PUBLISH, 0, 'chat:1', 'message', null, data];
  const ending = await closing(bad, [publish('before'), [Op.HELLO, 2, { instance: 'test' }], publish('after')]);
  t.equal(ending.code, 4003);
  await other.event('chat:1', 'message');
  await other.publish('chat:1', 'message', 'mine');
  await other.event('chat:1', 'message', 2);
  t.strictSame(
    other.events('chat:1').map(([, , data]) => data),
    ['before', 'mine'],
  );
  t.equal((await s.client({ session: bad.welcome.session })).welcome.resumed, true);
  await other.undisturbed();
});

t.test('no HELLO in time closes with 4004, and traffic below the protocol does not help', async (t) => {
  const time = new ManualTime();
  const s = await startOpen(t, { time, limits: { helloMs: 1_000 } });
  const other = await bystander(t, s);
  const silent = await s.connect().open();
  const pinging = await s.connect().open();
  for (let i = 0; i < 9; i++) {
    time.advance(100);
    pinging.socket.ping();
    await new Promise((pong) => pinging.socket.once('pong', pong));
  }
  t.equal(silent.frames.length, 0);
  time.advance(300);
  t.equal((await silent.closed).code, 4004);
  t.equal((await pinging.closed).code, 4004);
  await other.undisturbed();
});

t.test('a wrong or missing subprotocol opens, echoes the first that is no token, and closes with 4002', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const token = 'roomwire.token.abc.def.ghi';
  for (const [offered, echoed] of [
    [[], ''],
    [['other.v1', 'roomwire.v2'], 'other.v1'],
    [[token, 'other.v1'], 'other.v1'],
    [['roomwire.v1x'], 'roomwire.v1x'],
    [['ROOMWIRE.V1'], 'ROOMWIRE.V1'],
  ] as const) {
    const bad = await s.connect([...offered]).open();
    t.equal(bad.socket.protocol, echoed);
    t.equal((await bad.closed).code, 4002, offered.join());
    t.match(bad.frames, [[Op.GOAWAY, 4002]]);
  }
  // No proper client opens when nothing it offered is echoed.
  const raw = await RawClient.tcp(s.port);
  raw.write(
    `GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: ${token}\r\n` +
      'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n',
  );
  t.match(await raw.readHead(), /^HTTP\/1.1 101 /);
  t.notMatch(raw.head, /sec-websocket-protocol|roomwire\.token/i);
  raw.write(rawFrame(opcodes.binary, encode([Op.HELLO, 1, { instance: 'test' }])));
  t.equal((await raw.next())?.opcode, opcodes.binary);
  t.equal((await raw.next())?.payload.readUInt16BE(0), 4002);
  raw.destroy();
  const good = await s.connect([token, 'roomwire.v1']).open();
  t.equal(good.socket.protocol, 'roomwire.v1');
  await good.hello();
  await other.undisturbed();
});

t.test('each part of HELLO that is wrong closes with 4003 and is named', async (t) => {
  const s = await startOpen(t, { limits: { topics: 3 } });
  const other = await bystander(t, s);
  const position = ['x', 0];
  const parts: readonly (readonly [named: RegExp, part: unknown])[] = [
    ...[undefined, null, '', 7, 'x'.repeat(101), ['x'], {}].map((instance) => [/instance/, { instance }] as const),
    ...[7, true, ['x'], { x: 1 }].map((token) => [/token/, { token }] as const),
    ...['x', 7, {}, [], ['sid'], ['sid', 7], [7, 'secret'], [null, null]].map(
      (session) => [/session/, { session }] as const,
    ),
    ...['x', 7, [], [position]].map((resume) => [/resume/, { resume }] as const),
    ...[null, 'x', [], ['x'], ['x', -1], ['x', 1.5], ['x', '1'], [7, 1], { 0: 'x', 1: 1 }].map(
      (each) => [/position/, { resume: { 'chat:1': each } }] as const,
    ),
    [/resume/, { resume: { '': position } }],
    [/resume/, { resume: { ['x'.repeat(201)]: position } }],
    [/resume/, { resume: { a: position, b: position, c: position, d: position } }],
    ...[-1, NaN, -Infinity, '5', true, []].map((grace) => [/grace/, { grace }] as const),
    ...['x', 7, {}, [7], ['x', null]].map((features) => [/features/, { features }] as const),
    ...[7, ['x'], 'x'.repeat(201)].map((agent) => [/agent/, { agent }] as const),
    // What it inherits is not what it holds.
    [/instance/, { ...proto({ instance: 'inherited' }), instance: undefined }],
  ];
  for (const [named, part] of parts) {
    const ending = await closing(s.connect(), [[Op.HELLO, 1, { instance: 'test', ...(part as object) }]]);
    t.match(ending, { code: 4003, reason: named }, JSON.stringify(part));
  }
  for (const data of [undefined, null, 7, 'x', [], new Uint8Array(3)]) {
    const ending = await closing(s.connect(), [data === undefined ? [Op.HELLO, 1] : [Op.HELLO, 1, data]]);
    t.match(ending, { code: 4003, reason: /map/ });
  }
  for (const id of [0, -1, 2 ** 31, 1.5, '1', null, []]) {
    t.match(await closing(s.connect(), [[Op.HELLO, id, { instance: 'test' }]]), { code: 4003, reason: /id/ });
  }
  t.equal((await closing(s.connect(), [[Op.HELLO]])).code, 4003);
  t.equal(await s.server.transact((tx) => tx.list('sessions', { limit: 9 }).length), 1, 'no session began');
  await other.undisturbed();
});

t.test('HELLO takes what it need not know: unknown keys, features and a third element', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const odd = await s.connect().open();
  const data = {
    ...proto({ token: 7 }),
    instance: 'x',
    features: ['no-such'],
    token: null,
    grace: Infinity,
    more: [1],
  };
  odd.send([Op.HELLO, 2 ** 31 - 1, data, 'extra']);
  const welcome = await odd.frame(([op]) => op === Op.WELCOME);
  t.match(welcome, [Op.WELCOME, 2 ** 31 - 1, { features: [], resumed: false }]);
  await other.undisturbed();
});
