/** PUBLISH and the server's publish: who may, what is checked, what the publisher is told. */
import t from 'tap';
import * as v from 'valibot';
import { defineContract } from '../../src/protocol/contract.js';
import { encode } from '../../src/protocol/codec.js';
import { Op, type Value } from '../../src/protocol/frames.js';
import { startOpen } from '../support/open-server.js';
import { startServer } from '../support/server.js';
import { until } from '../support/until.js';

t.test('by default the server alone publishes: a client is forbidden, whatever it sends', async (t) => {
  const { client, server } = await startOpen(t);
  const reader = await client();
  await reader.subscribe('news:1');
  await t.rejects(reader.publish('news:1', 'headline', { text: 'mine' }), { code: 106 });
  await t.rejects(reader.publish('news:1', 'headline', 'not even right'), { code: 106 });
  await t.rejects(reader.publish('kept:1', 'note', 1), { code: 108 });
  t.strictSame((await server.publish('news:1', 'headline', { text: 'ours' })).matched, 1);
  await reader.event('news:1', 'headline');
  t.strictSame(reader.events('news:1'), [[1, 'headline', { text: 'ours' }, null]]);
});

t.test('a subscriber publishes what the contract opens to it, and its session is named as the sender', async (t) => {
  const { client } = await startOpen(t);
  const [member, stranger] = [await client(), await client()];
  await member.subscribe('chat:1');
  await t.rejects(stranger.publish('chat:1', 'message', 1), { code: 108 });
  t.match(await member.publish('chat:1', 'message', { deep: [1, { x: null }] }), { offset: 1, matched: 1 });
  await member.event('chat:1', 'message');
  t.strictSame(member.events('chat:1'), [[1, 'message', { deep: [1, { x: null }] }, member.welcome.session[0]]]);
});

t.test(
  'a rule of the program decides alone: it may open what the contract closes, and close what it opens',
  async (t) => {
    const { client, log } = await startOpen(t, {
      policy: {
        'chat:{id}': {
          publish: {
            notice: ({ session, params }) => params['id'] === '1' && session.user.id.startsWith('guest:'),
            message: async () => false,
            // What a rule forgets to answer is no.
            strict: (() => undefined) as never,
          },
        },
      },
    });
    const member = await client();
    t.match(await member.publish('chat:1', 'notice', 1), { offset: 1, matched: 0 });
    await member.subscribe('chat:1');
    await t.rejects(member.publish('chat:2', 'notice', 1), { code: 108 });
    await t.rejects(member.publish('chat:1', 'message', 1), { code: 106 });
    await t.rejects(member.publish('chat:1', 'strict', { n: 1 }), { code: 106 });
    t.strictSame(log.errors, []);
  },
);

t.test(
  'rule 5: an unknown topic or event answers with its code; matched tells how many a publish reached',
  async (t) => {
    const { client, server } = await startOpen(t);
    const [one, two, three] = [await client(), await client(), await client()];
    await t.rejects(one.subscribe('nope'), { code: 103 });
    await t.rejects(one.subscribe('__proto__'), { code: 103 });
    await t.rejects(one.publish('nope', 'message', 1), { code: 103 });
    await t.rejects(one.publish('chat:1', 'nope', 1), { code: 104 });
    await t.rejects(one.publish('chat:1', '__proto__', 1), { code: 104 });
    await t.rejects(server.publish('nope' as never, 'x' as never, 1 as never), { name: 'unknown_topic' });
    await t.rejects(server.publish('chat:1', 'nope' as never, 1 as never), { name: 'unknown_event' });
    t.equal((await server.publish('chat:1', 'notice', 1)).matched, 0, 'nobody');
    await one.subscribe('chat:1');
    await two.subscribe('chat:1');
    await three.subscribe('chat:2');
    t.equal((await one.publish('chat:1', 'message', 1)).matched, 2);
    await two.request(Op.UNSUBSCRIBE, 'chat:1');
    t.equal((await server.publish('chat:1', 'notice', 1)).matched, 1);
    await t.rejects(two.request(Op.UNSUBSCRIBE, 'chat:1'), { code: 108 });
    await t.rejects(two.request(Op.UNSUBSCRIBE, 'kept:1'), { code: 107 });
    await t.rejects(two.subscribe('kept:1'), { code: 107 });
  },
);

t.test(
  'a failed publish that wants no ACK is told with id 0 and its topic, a hundred times a second at most',
  async (t) => {
    const { client } = await startOpen(t);
    const member = await client();
    await member.subscribe('chat:1');
    member.send(
      [Op.PUBLISH, 0, 'chat:1', 'message', null, 'good'],
      [Op.PUBLISH, 0, 'chat:1', 'strict', null, { n: 'bad' }],
      [Op.PUBLISH, 0, 'news:9', 'headline', null, { text: '' }],
    );
    await member.event('chat:1', 'message');
    await member.barrier();
    const nacks = (): Value[][] => member.frames.filter(([op, id]) => op === Op.NACK && id === 0);
    t.match(nacks(), [
      [Op.NACK, 0, 105, String, { topic: 'chat:1', issues: [{ path: 'n' }] }],
      [Op.NACK, 0, 108, String, { topic: 'news:9' }],
    ]);
    t.equal(member.frames.filter(([op]) => op === Op.ACK).length, 1, "SUBSCRIBE's alone");
    member.send(...Array.from({ length: 500 }, () => [Op.PUBLISH, 0, 'news:9', 'headline', null, null]));
    await member.barrier();
    t.equal(nacks().length, 100);
  },
);

t.test('data that a schema describes is checked, and goes out byte for byte', async (t) => {
  const { client, server } = await startOpen(t);
  const member = await client();
  await member.subscribe('chat:1');
  await t.rejects(member.publish('chat:1', 'strict', { n: '1' }), { code: 105, details: { issues: [{ path: 'n' }] } });
  await t.rejects(server.publish('news:1', 'headline', { text: 7 } as never), { name: 'invalid_data' });
  // Not the shortest encodings, on purpose: {"n": 7} with a 32-bit map header and 64-bit numbers.
  const data = Buffer.from('df00000001a16ecf0000000000000007', 'hex');
  const head = encode([Op.PUBLISH, 80, 'chat:1', 'strict', null]);
  const raw = new Promise<Buffer>((resolve) => {
    member.socket.on('message', (bytes: Buffer) => {
      if (bytes.includes(data)) resolve(bytes);
    });
  });
  member.socket.send(Buffer.concat([Buffer.from([0x96]), head.subarray(1), data]));
  t.ok((await raw).includes(data));
  await member.event('chat:1', 'strict');
  t.strictSame(member.events('chat:1')[0]?.[2], { n: 7 });
});

t.test('names and data over their limits are too_large', async (t) => {
  const { client, server } = await startOpen(t, { limits: { dataBytes: 1_000 } });
  const member = await client();
  await member.subscribe('chat:1');
  const long = 'x'.repeat(201);
  await t.rejects(member.publish('chat:1', 'message', 'x'.repeat(998)), { code: 109 });
  t.match(await member.publish('chat:1', 'message', 'x'.repeat(997)), { offset: 1 });
  await t.rejects(member.publish(`chat:${long}`, 'message', 1), { code: 109 });
  await t.rejects(member.publish('chat:1', long, 1), { code: 109 });
  await t.rejects(member.publish('chat:1', 'message', 1, long), { code: 109 });
  await t.rejects(member.subscribe(`chat:${'é'.repeat(98)}`), { code: 109 });
  await t.rejects(member.publish('', 'message', 1), { code: 100 });
  await t.rejects(member.publish('chat:1', 'message', 1, ''), { code: 100 });
  await t.rejects(server.publish(`chat:${long}`, 'notice', 1), { name: 'too_large' });
  await t.rejects(server.publish('chat:1', 'notice', 'x'.repeat(2_000)), { name: 'too_large' });
  await t.rejects(server.publish('chat:1', 'notice', { at: new Date() }), { name: 'EncodeError' });
  await t.rejects(server.publish('chat:\ud800', 'notice', 1), { name: 'EncodeError' });
  t.match(await server.publish('chat:1', 'notice', 'and on'), { offset: 2 });
});

t.test('a keyed publish is appended once; the same key with other data is key_reused', async (t) => {
  const { client, server } = await startOpen(t);
  const [one, two] = [await client(), await client()];
  await one.subscribe('chat:1');
  await two.subscribe('chat:1');
  const [first, second] = await Promise.all([
    one.publish('chat:1', 'message', 1, 'k'),
    one.publish('chat:1', 'message', 1, 'k'),
  ]);
  t.strictSame(second, first);
  t.strictSame(await one.publish('chat:1', 'message', 1, 'k'), first);
  await t.rejects(one.publish('chat:1', 'message', 2, 'k'), { code: 111 });
  t.equal((await two.publish('chat:1', 'message', 2, 'k')).offset, 2, "another user's key is another key");
  const ours = await server.publish('chat:1', 'notice', 3, { key: 'k' });
  t.strictSame(await server.publish('chat:1', 'notice', 3, { key: 'k' }), ours);
  await t.rejects(server.publish('chat:1', 'notice', 4, { key: 'k' }), { name: 'key_reused' });
  await one.event('chat:1', 'notice');
  t.strictSame(
    one.events('chat:1').map(([offset, , data]) => [offset, data]),
    [
      [1, 1],
      [2, 2],
      [3, 3],
    ],
  );
});

t.test('what one client sends as deep as allowed comes out as a valid frame; one level more closes 4000', async (t) => {
  const { client } = await startOpen(t);
  const [sender, receiver] = [await client(), await client()];
  for (const each of [sender, receiver]) await each.subscribe('chat:1');
  const nested = (levels: number): Value => (levels === 0 ? 'core' : [nested(levels - 1)]);
  // The frame's own array is the first of 31 levels.
  await sender.publish('chat:1', 'message', nested(30));
  sender.send([Op.VOLATILE, 'chat:1', 'message', 'deep', nested(30)]);
  t.strictSame(await sender.call<Value>('echo', nested(30)), nested(30));
  await receiver.event('chat:1', 'message');
  t.strictSame(receiver.events('chat:1')[0]?.[2], nested(30));
  await receiver.frame(([op]) => op === Op.LATEST);
  // The client's own encoder takes a level more; the server must not.
  sender.send([Op.PUBLISH, 90, 'chat:1', 'message', null, nested(31)]);
  t.match(await sender.closed, { code: 4000, reason: /frame 0: nested too deep/ });
  await receiver.barrier();
  t.equal(receiver.events('chat:1').length, 1);
});

t.test('a volatile value needs a subscription, is checked, and is gone when its sender leaves', async (t) => {
  const { client } = await startOpen(t, {
    limits: { slots: 2 },
    policy: { 'chat:{id}': { publish: { notice: () => true } } },
  });
  const [one, two] = [await client(), await client()];
  const set = (event: string, slot: string, data: unknown): void =>
    one.send([Op.VOLATILE, 'chat:1', event, slot, data]);
  const refused = async (code: number): Promise<void> => {
    const seen = one.frames.length;
    const frame = await one.frame((each) => each[0] === Op.NACK && one.frames.indexOf(each) >= seen);
    t.match(frame, [Op.NACK, 0, code, String, { topic: 'chat:1' }]);
  };
  await two.subscribe('chat:1');
  set('notice', 'a', 1);
  await refused(108);
  await one.subscribe('chat:1');
  set('strict', 'a', { n: 'x' });
  await refused(105);
  set('nope', 'a', 1);
  await refused(104);
  set('message', 'a', 1);
  set('message', 'b', 1);
  await two.frame(([op, , , slot]) => op === Op.LATEST && slot === 'b');
  set('message', 'c', 1);
  await refused(202);
  await one.request(Op.UNSUBSCRIBE, 'chat:1');
  const late = await client();
  await late.subscribe('chat:1');
  await late.barrier();
  t.equal(late.frames.filter(([op]) => op === Op.LATEST).length, 0);
  await one.subscribe('chat:1');
  set('message', 'c', 2);
  await late.frame(([op, , , slot]) => op === Op.LATEST && slot === 'c');
  one.send([Op.BYE]);
  await one.closed;
  const later = await client();
  await later.subscribe('chat:1');
  await later.barrier();
  t.equal(later.frames.filter(([op]) => op === Op.LATEST).length, 0);
});

t.test('volatile values of a topic that nobody is connected to are forgotten', async (t) => {
  const { client, server } = await startOpen(t);
  const moving = await client();
  await moving.subscribe('chat:1');
  // One that was never written would be forgotten whole.
  await server.publish('chat:1', 'notice', 1);
  moving.send([Op.VOLATILE, 'chat:1', 'message', 'pointer', 1]);
  await moving.frame(([op]) => op === Op.LATEST);
  moving.cut();
  await until(() => server.session(moving.welcome.session[0])?.connected === false);
  const late = await client();
  await late.subscribe('chat:1');
  await late.barrier();
  t.equal(late.frames.filter(([op]) => op === Op.LATEST).length, 0);
});

t.test('events by prefix: the longest entry that fits is the one that counts', async (t) => {
  const contract = defineContract({
    topics: {
      'chat:{id}': {
        events: {
          'note:*': { schema: v.unknown(), publish: 'subscribers' },
          'note:system:*': v.unknown(),
        },
      },
    },
  });
  const { client } = await startServer(t, { contract });
  const member = await client();
  await member.subscribe('chat:1');
  t.match(await member.publish('chat:1', 'note:mine', 1), { offset: 1 });
  await t.rejects(member.publish('chat:1', 'note:system:down', 1), { code: 106 });
  await t.rejects(member.publish('chat:1', 'other', 1), { code: 104 });
});
