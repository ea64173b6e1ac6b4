/** Messages, HELLO, names and data have up to so many bytes: the last that fits is taken, and one more is refused. */
import t from 'tap';
import { concat, encode } from '../../src/protocol/codec.js';
import { Op } from '../../src/protocol/frames.js';
import { defaultLimits } from '../../src/protocol/limits.js';
import { startOpen } from '../support/open-server.js';
import { bystander } from './bystander.js';
import { closing, hex, nacks } from './bytes.js';

t.test('a message over messageBytes ends its connection, and nothing of it happens', async (t) => {
  const s = await startOpen(t, { limits: { messageBytes: 64 * 1024 } });
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  const bad = await s.client();
  await bad.subscribe('chat:1');
  const publish = encode([Op.PUBLISH, 0, 'chat:1', 'message', null, 'x'.repeat(1_000)]);
  const { code } = await closing(bad, concat(Array(70).fill(publish)));
  t.ok([1006, 1009].includes(code), `closed with ${code}`);
  const { code: early } = await closing(s.connect(), Buffer.alloc(70_000, 0xc0));
  t.ok([1006, 1009].includes(early), `closed with ${early} before HELLO`);
  t.strictSame(other.events('chat:1'), []);
  await other.undisturbed();
});

t.test('HELLO has at most helloBytes bytes: 4005 past them', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const hello = (pad: number) => encode([Op.HELLO, 1, { instance: 'test', pad: 'x'.repeat(pad) }]);
  // The header of a long string has 3 bytes, that of the short one 1.
  const pad = defaultLimits.helloBytes - hello(0).length - 2;
  t.equal(hello(pad).length, defaultLimits.helloBytes);
  const most = await s.connect().open();
  most.socket.send(hello(pad));
  await most.frame(([op]) => op === Op.WELCOME);
  t.equal((await closing(s.connect(), hello(pad + 1))).code, 4005);
  t.equal((await closing(s.connect(), Buffer.alloc(defaultLimits.helloBytes + 1, 0xc1))).code, 4005);
  await other.undisturbed();
});

t.test('names have up to nameBytes bytes of UTF-8, whatever their encoding; more is NACK 109', async (t) => {
  const s = await startOpen(t);
  const other = await bystander(t, s);
  const bad = await s.client();
  const most = defaultLimits.nameBytes;
  const ascii = (length: number, start = '') => start + 'x'.repeat(length - start.length);
  const wide = (length: number, start = '') => {
    const rest = length - start.length;
    return start + 'ä'.repeat(rest >> 1) + 'x'.repeat(rest & 1);
  };
  for (const name of [ascii, wide]) {
    const topic = name(most, 'chat:');
    await bad.subscribe(topic);
    await bad.publish(topic, 'message', 'fits', name(most));
    await bad.call('echo', 1, { key: name(most) });
    await t.rejects(bad.call(name(most)), { code: 102 });
    await t.rejects(bad.publish(topic, name(most), 1), { code: 104 });
    bad.send([Op.VOLATILE, topic, 'message', name(most), 1]);
    await bad.frame(([op, where, , slot]) => op === Op.LATEST && where === topic && slot === name(most));
    const long = name(most + 1, 'chat:');
    await t.rejects(bad.subscribe(long), { code: 109 }, 'topic');
    await t.rejects(bad.request(Op.UNSUBSCRIBE, long), { code: 109 }, 'topic');
    await t.rejects(bad.publish(long, 'message', 1), { code: 109 }, 'topic');
    await t.rejects(bad.publish(topic, long, 1), { code: 109 }, 'event');
    await t.rejects(bad.publish(topic, 'message', 1, long), { code: 109 }, 'key');
    await t.rejects(bad.call(long), { code: 109 }, 'call');
    await t.rejects(bad.call('echo', 1, { key: long }), { code: 109 }, 'key of a call');
    const before = nacks(bad).length;
    bad.send([Op.VOLATILE, topic, 'message', long, 1], [Op.VOLATILE, topic, long, 'slot', 1]);
    await bad.barrier();
    t.strictSame(nacks(bad).slice(before), [
      [0, 109],
      [0, 109],
    ]);
  }
  await t.rejects(bad.subscribe('x'.repeat(900_000)), { code: 109 });
  // RW-ENC-2: any format of a type is taken, here str 32 where str 8 would do.
  const str32 = (text: string) =>
    concat([hex(`db ${Buffer.byteLength(text).toString(16).padStart(8, '0')}`), Buffer.from(text)]);
  const subscribe = (id: number, topic: string) =>
    bad.socket.send(concat([hex('94 20'), encode(id), str32(topic), hex('c0')]));
  subscribe(7_001, ascii(most, 'chat:32'));
  t.match(await bad.answer(7_001), { recovered: true });
  subscribe(7_002, ascii(most + 1, 'chat:32'));
  await t.rejects(bad.answer(7_002), { code: 109 });
  await other.undisturbed();
});

t.test('data has up to dataBytes bytes; more is NACK 109 and goes to nobody', async (t) => {
  const s = await startOpen(t, { limits: { dataBytes: 1_000 } });
  const other = await bystander(t, s);
  await other.subscribe('chat:1');
  const bad = await s.client();
  await bad.subscribe('chat:1');
  // With a header of 3 bytes.
  const [most, more] = ['x'.repeat(997), 'x'.repeat(998)];
  await bad.publish('chat:1', 'message', most);
  t.equal(await bad.call('echo', most), most);
  await t.rejects(bad.publish('chat:1', 'message', more), { code: 109 });
  await t.rejects(bad.call('echo', more), { code: 109 });
  bad.send([Op.VOLATILE, 'chat:1', 'message', 'slot', more], [Op.PUBLISH, 0, 'chat:1', 'message', null, more]);
  await bad.barrier();
  t.strictSame(nacks(bad).slice(-2), [
    [0, 109],
    [0, 109],
  ]);
  await other.event('chat:1', 'message');
  t.strictSame(
    other.events('chat:1').map(([, , data]) => data),
    [most],
  );
  await other.undisturbed();
});
