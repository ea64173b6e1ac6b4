/** Errors of meaning are answered frame by frame with their code; the rest goes on. */
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import { startRooms } from '../support/rooms.js';
import { until } from '../support/until.js';
import { bystander } from './bystander.js';
import { broken, closing, hex, nacks, proto } from './bytes.js';

t.test('an id out of range is answered with NACK 100 and id 0, and the rest of the message goes on', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  const ids = [0, -1, 2 ** 31, 2 ** 53 - 1, 1.5, NaN, '7', null, true, [], {}, new Uint8Array(1)];
  const shapes: readonly ((id: unknown) => readonly unknown[])[] = [
    (id) => [Op.CALL, id, 'echo', 1],
    (id) => [Op.SUBSCRIBE, id, 'chat:1', null],
    (id) => [Op.UNSUBSCRIBE, id, 'chat:1'],
    (id) => [Op.AUTH, id, 'token'],
    (id) => [Op.CANCEL, id],
    (id) => [Op.ACK, id, 1],
  ];
  let sent = 0;
  for (const shape of shapes) {
    const frames = ids.map(shape);
    // At most 100 a second of these are told; each shape fits.
    bad.send(...frames, [Op.CALL, 1_000 + sent, 'echo', 'goes on']);
    t.equal(await bad.answer(1_000 + sent), 'goes on');
    t.strictSame(nacks(bad).slice(sent), Array(ids.length).fill([0, 100]), `opcode ${shape(1)[0] as number}`);
    sent += ids.length;
  }
  t.equal(s.server.session(bad.welcome.session[0])?.topics.size, 0, 'nothing was subscribed');
  // A frame without any id, and PUBLISH, where 0 alone is allowed beside them.
  bad.send([Op.CALL], [Op.SUBSCRIBE], ...ids.slice(1).map((id) => [Op.PUBLISH, id, 'chat:1', 'message', null, 1]));
  await bad.barrier();
  t.strictSame(nacks(bad).slice(sent), Array(ids.length + 1).fill([0, 100]));
  await other.undisturbed();
});

t.test('an integral float is an id like any other', async (t) => {
  const s = await startOpen(t);
  const odd = await s.client();
  odd.socket.send(concat([hex('94 10 cb 40 1c 00 00 00 00 00 00'), encode('echo'), encode('seven')]));
  t.equal(await odd.answer(7), 'seven');
});

t.test('a frame without an id is never answered with one: VOLATILE and what is no request', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  bad.send([Op.CALL, 5, 'hang', null]);
  bad.send([Op.VOLATILE, 5, 'message', 'slot', 1], [Op.VOLATILE, 5], [Op.VOLATILE], [Op.POSITION, 5], [Op.PONG, 5]);
  await bad.barrier();
  t.strictSame(nacks(bad), [
    [0, 100],
    [0, 100],
    [0, 100],
  ]);
  bad.send([Op.CANCEL, 5]);
  await t.rejects(bad.answer(5), { code: 113 }, 'the call 5 still waits');
  await other.undisturbed();
});

t.test('an unknown opcode is NACK 101 with its id if it has one; so is one that only servers send', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  bad.send(
    [99, 41, 'x'],
    [Op.EVENTS, 'chat:1', 1],
    [Op.WELCOME, 42, {}],
    [0],
    [2 ** 40, 43],
    [127, -1],
    [Op.GOAWAY, 4000, '', 0],
    [Op.CALL, 44, 'echo', 'goes on'],
  );
  t.equal(await bad.answer(44), 'goes on');
  t.strictSame(nacks(bad), [
    [41, 101],
    [0, 101],
    [42, 101],
    [0, 101],
    [43, 101],
    [0, 101],
    [4000, 101],
  ]);
  await other.undisturbed();
});

t.test('frames with parts missing or of wrong types are NACK 100 each', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  await bad.subscribe('chat:1');
  const wrong: readonly (readonly unknown[])[] = [
    ...[undefined, 7, null, '', ['echo'], new Uint8Array(4)].map((name) => [Op.CALL, name, 1]),
    ...[
      7,
      'x',
      [],
      new Uint8Array(1),
      { key: 7 },
      { key: '' },
      { timeoutMs: 'x' },
      { timeoutMs: -1 },
      { timeoutMs: 0 },
    ].map((options) => [Op.CALL, 'echo', 1, options]),
    [Op.CALL, 'echo', 1, { timeoutMs: NaN }],
    ...[undefined, 7, null, '', []].map((topic) => [Op.SUBSCRIBE, topic, null]),
    ...[7, 'x', [], ['x'], ['x', -1], ['x', 1.5], [1, 'x'], {}].map((from) => [Op.SUBSCRIBE, 'chat:1', from]),
    ...[undefined, 7, ''].map((topic) => [Op.UNSUBSCRIBE, topic]),
    ...[undefined, 7, null, []].map((token) => [Op.AUTH, token]),
    [Op.PUBLISH],
    [Op.PUBLISH, 'chat:1'],
    [Op.PUBLISH, 'chat:1', 'message', null],
    [Op.PUBLISH, 7, 'message', null, 1],
    [Op.PUBLISH, 'chat:1', 7, null, 1],
    [Op.PUBLISH, 'chat:1', '', null, 1],
    ...[7, '', [], false].map((key) => [Op.PUBLISH, 'chat:1', 'message', key, 1]),
  ];
  const frames = wrong.map(([op, ...parts], i) => [op, 100 + i, ...parts].filter((part) => part !== undefined));
  bad.send(...frames, [Op.CALL, 99, 'echo', 'goes on']);
  t.equal(await bad.answer(99), 'goes on');
  for (const [i, frame] of frames.entries()) await t.rejects(bad.answer(100 + i), { code: 100 }, JSON.stringify(frame));
  t.strictSame(bad.events('chat:1'), []);
  await other.undisturbed();
});

t.test('every error of meaning has its code, in one message, and the frames around it count', async (t) => {
  const s = await startRooms(t);
  const other = await bystander(t, s);
  await other.call('join:room', { roomId: 'demo', create: true });
  const bad = await s.client();
  await bad.call('join:room', { roomId: 'demo' });
  const { token } = await bad.call<{ token: number }>('lock:acquire', { roomId: 'demo' });
  await bad.call('lock:release', { roomId: 'demo', token });
  await other.call('join:room', { roomId: 'elsewhere', create: true });
  const chat = (id: number, text: string) => [Op.PUBLISH, id, 'room:demo', 'chat:message:new', null, { text }];
  const wrong: readonly (readonly [code: number, op: number, ...parts: unknown[]])[] = [
    [101, 99],
    [102, Op.CALL, 'no:such:call', {}],
    [103, Op.SUBSCRIBE, 'no-such-topic', null],
    [103, Op.UNSUBSCRIBE, 'no-such-topic'],
    [103, Op.PUBLISH, 'no-such-topic', 'x', null, 1],
    [104, Op.PUBLISH, 'room:demo', 'no:such:event', null, 1],
    [105, Op.PUBLISH, 'room:demo', 'chat:message:new', null, { text: 7 }],
    [105, Op.CALL, 'join:room', {}],
    [106, Op.PUBLISH, 'room:demo', 'room:update', null, { roomId: 'demo', version: 1 }],
    [106, Op.PUBLISH, 'room:demo', 'frame_update', null, { frame: 1 }],
    [106, Op.PUBLISH, 'room:demo', 'member:left', null, {}],
    [106, Op.CALL, 'member:kick', { roomId: 'demo', userId: other.welcome.user.id }],
    [107, Op.SUBSCRIBE, 'room:demo', null],
    [107, Op.SUBSCRIBE, 'room:nobody-made-it', null],
    [107, Op.SUBSCRIBE, 'overview:public', null],
    [107, Op.UNSUBSCRIBE, 'room:demo'],
    [108, Op.PUBLISH, 'room:elsewhere', 'chat:message:new', null, { text: 'x' }],
    [108, Op.PUBLISH, 'room:nobody-made-it', 'room:update', null, {}],
    [108, Op.PUBLISH, 'overview:public', 'room:delete', null, {}],
    [120, Op.CALL, 'join:room', { roomId: 'nobody-made-it' }],
    [120, Op.CALL, 'lock:acquire', { roomId: 'nobody-made-it' }],
    [120, Op.CALL, 'presenter:take', { roomId: 'nobody-made-it' }],
    [120, Op.CALL, 'room:members', { roomId: 'nobody-made-it' }],
    [120, Op.CALL, 'member:kick', { roomId: 'nobody-made-it', userId: 'x' }],
    [123, Op.CALL, 'lock:acquire', { roomId: 'elsewhere' }],
    [125, Op.CALL, 'lock:refresh', { roomId: 'demo', token }],
    [125, Op.CALL, 'lock:release', { roomId: 'demo', token }],
    [125, Op.CALL, 'lock:msg', { roomId: 'demo', token, msg: 'x' }],
    [126, Op.CALL, 'presenter:release', { roomId: 'demo' }],
    [126, Op.CALL, 'host:give', { roomId: 'demo', userId: bad.welcome.user.id }],
  ];
  const frames = wrong.flatMap(([, op, ...parts], i) => [[op, 1_000 + i, ...parts], chat(2_000 + i, `${i}`)]);
  bad.send(chat(3_000, 'first'), ...frames, chat(3_001, 'last'));
  for (const [i, [code, ...frame]] of wrong.entries()) {
    await t.rejects(bad.answer(1_000 + i), { code }, JSON.stringify(frame));
    await t.resolves(bad.answer(2_000 + i));
  }
  await bad.answer(3_001);
  await other.event('room:demo', 'chat:message:new', wrong.length + 2);
  const told = other.events('room:demo').filter(([, , , from]) => from === bad.welcome.session[0]);
  t.strictSame(
    told.map(([, event, data]) => [event, (data as { text: string }).text]),
    ['first', ...wrong.map((_, i) => `${i}`), 'last'].map((text) => ['chat:message:new', text]),
  );
  t.strictSame(
    other.events('room:elsewhere').filter(([, , , from]) => from !== null),
    [],
  );
  await other.undisturbed();
});

t.test('NACK 105 names the paths that are wrong', async (t) => {
  const s = await startRooms(t);
  const other = await bystander(t, s);
  await other.call('join:room', { roomId: 'demo', create: true });
  const bad = await s.client();
  await bad.call('join:room', { roomId: 'demo' });
  const paths = (...wanted: string[]) => ({
    code: 105,
    details: { issues: wanted.map((path) => ({ path, message: String })) },
  });
  await t.rejects(bad.publish('room:demo', 'chat:message:new', { text: null }), paths('text'));
  await t.rejects(bad.publish('room:demo', 'chat:message:new', 'text'), paths(''));
  await t.rejects(bad.call('lock:acquire', { roomId: 7, target: '', ttl: -1 }), paths('roomId', 'target', 'ttl'));
  await t.rejects(bad.call('lock:acquire', null), paths(''));
  await t.rejects(bad.call('join:room', { roomId: 'x', create: { frameCount: -1 } }), paths('create.frameCount'));
  for (const roomId of [
    '',
    ' ',
    'a b',
    'a/b',
    'a:b',
    'a?b',
    'a#b',
    '%41',
    'a\u0000',
    '\u0085',
    'x'.repeat(129),
    'ä'.repeat(65),
  ]) {
    await t.rejects(bad.call('join:room', { roomId, create: true }), paths('roomId'), JSON.stringify(roomId));
  }
  bad.send([Op.PUBLISH, 0, 'room:demo', 'chat:message:new', null, {}]);
  const told = await bad.frame(([op, id]) => op === Op.NACK && id === 0);
  t.match(told, [Op.NACK, 0, 105, String, { topic: 'room:demo', issues: [{ path: 'text' }] }]);
  await other.undisturbed();
});

t.test('`__proto__` and its kin are names and data of calls like any other', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  await bad.subscribe('chat:1');
  for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']) {
    await t.rejects(bad.subscribe(name), { code: 103 }, name);
    await t.rejects(bad.publish(name, name, 1), { code: 103 }, name);
    await t.rejects(bad.publish('chat:1', name, 1), { code: 104 }, name);
    await t.rejects(bad.call(name), { code: 102 }, name);
    t.match(await bad.subscribe(`chat:${name}`), { recovered: true }, name);
    t.strictSame(
      await bad.publish(`chat:${name}`, 'message', name, name),
      await bad.publish(`chat:${name}`, 'message', name, name),
      'as a key it makes the repetition safe',
    );
    t.equal(await bad.call('echo', name, { key: name }), name);
    bad.send([Op.VOLATILE, `chat:${name}`, 'message', name, name]);
    await bad.frame(([op, , , slot]) => op === Op.LATEST && slot === name);
    const epoch = (await bad.subscribe(`chat:${name}`)).epoch;
    const resume = { ...JSON.parse(`{"${name}": ["x", 0]}`), [`chat:${name}`]: [epoch, 1] } as Record<
      string,
      [string, number]
    >;
    const { topics } = (await s.client({ resume })).welcome;
    t.strictSame(Object.keys(topics).sort(), [name, `chat:${name}`].sort());
    t.match(Object.getOwnPropertyDescriptor(topics, name)?.value, { code: 103 });
    t.match(topics[`chat:${name}`], { recovered: true, offset: 1 });
  }
  const data = [proto({ polluted: true }), { a: proto({ polluted: true }) }, proto(null)];
  t.strictSame(JSON.stringify(await bad.call('echo', data)), JSON.stringify(data));
  t.strictSame(JSON.stringify(await bad.call('strict', { ...proto({ n: 'x' }), n: 1 })), '{"n":1}');
  await t.rejects(bad.call('strict', proto({ n: 1 })), { code: 105 });
  await t.rejects(bad.publish('chat:1', 'strict', proto({ n: 1 })), { code: 105 });
  t.equal(await bad.call('echo', 1, proto({ key: 7, timeoutMs: 'x' })), 1, 'options do not inherit');
  t.notOk('polluted' in {});
  await other.undisturbed();
});

t.test('a room, a lock and a member may be called `__proto__`', async (t) => {
  const s = await startRooms(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  for (const roomId of ['__proto__', 'constructor', 'hasOwnProperty']) {
    const topic = `room:${roomId}`;
    await t.rejects(bad.call('join:room', { roomId }), { code: 120 });
    const create = { ...proto({ locked: true }), description: 'odd' };
    const joined = await bad.call<{ positions: object; metadata: object }>('join:room', { roomId, create });
    t.match(joined, { status: 'joined', metadata: { id: roomId, description: 'odd', locked: false } });
    t.strictSame(Object.keys(joined.positions), [topic]);
    const { token } = await bad.call<{ token: number }>('lock:acquire', { roomId, target: roomId });
    t.match(await other.call('join:room', { roomId }), { holders: { locks: [{ target: roomId }] } });
    await t.rejects(other.call('lock:acquire', { roomId, target: roomId }), { code: 205 });
    t.match(await bad.call('lock:release', { roomId, target: roomId, token }), { released: true });
    t.strictSame(await bad.call('member:kick', { roomId, userId: '__proto__' }), { kicked: false });
    await t.rejects(bad.call('host:give', { roomId, userId: '__proto__' }), { code: 123 });
    await t.rejects(bad.call('presenter:give', { roomId, sid: '__proto__' }), { code: 123 });
    await t.rejects(bad.call('join:overview', { group: roomId }), { code: 106 });
    t.match(await other.call('leave:room', { roomId }), { status: 'left', room: topic });
  }
  await other.undisturbed();
});

t.test(
  'a flood of 10,000 bad frames leaves others answered, and of what has no id 100 a second are told',
  async (t) => {
    const time = new ManualTime();
    const unlimited = { callsPerSecond: 0, publishesPerSecond: 0, joinsPerSecond: 0, straysPerSecond: 0 };
    const s = await startOpen(t, { time, limits: { ...unlimited, userStraysPerSecond: 0 } });
    const other = await bystander(t, s);
    await other.subscribe('chat:1');
    const bad = await s.client();
    const kinds: readonly ((id: number) => readonly unknown[])[] = [
      (id) => [99, id],
      (id) => [Op.CALL, id, 'no:such:call', 'x'.repeat(100)],
      (id) => [Op.CALL, id, 'strict', { n: 'x' }],
      (id) => [Op.SUBSCRIBE, id, `nowhere:${id}`, null],
      (id) => [Op.PUBLISH, id, 'chat:1', `unknown-${id}`, null, id],
      (id) => [Op.PUBLISH, id, 'chat:1', 'message', null, 'not subscribed'],
      (id) => [Op.AUTH, id, 'no token'],
      () => [Op.PUBLISH, 0, 'chat:1', 'message', null, 'not subscribed'],
      () => [Op.VOLATILE, 'chat:1', 'message', 'slot', 'not subscribed'],
      () => [Op.CALL, -1, 'echo', 1],
    ];
    const [messages, each] = [100, 100];
    const answers: Promise<unknown>[] = [];
    for (let i = 0; i < messages; i++) {
      bad.send(...Array.from({ length: each }, (_, k) => kinds[k % kinds.length]!(10_000 + i * each + k)));
      answers.push(other.call('echo', i));
    }
    t.strictSame(
      await Promise.all(answers),
      answers.map((_, i) => i),
    );
    await bad.barrier();
    const wanted = (messages * each * 7) / 10;
    // AUTH's answers come later than the barrier's.
    await until(() => nacks(bad).filter(([id]) => id !== 0).length >= wanted);
    const told = nacks(bad);
    const answered = told.filter(([id]) => id !== 0).map(([id]) => id);
    t.equal(answered.length, wanted, 'each frame with an id has its NACK');
    t.equal(new Set(answered).size, answered.length);
    t.equal(told.length - answered.length, 100);
    t.strictSame(other.events('chat:1'), []);
    t.equal((await other.publish('chat:1', 'message', 'all is well')).matched, 1);
    t.equal(await bad.call('echo', 'still here'), 'still here');
    await other.undisturbed();
  },
);

t.test('200 connections that each break the protocol in another way leave nothing behind', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const endings = await Promise.all(
    Array.from({ length: 200 }, (_, i) => {
      const [, bytes] = broken[i % broken.length]!;
      return closing(s.connect(), i % 2 === 0 ? bytes : concat([encode([Op.HELLO, 1, { instance: 'x' }]), bytes]));
    }),
  );
  // A large one passes helloBytes first.
  t.ok(endings.every(({ code }) => code === 4000 || code === 4005));
  t.equal(await s.server.transact((tx) => tx.list('sessions', { limit: 9 }).length), 1);
  await other.undisturbed();
});
