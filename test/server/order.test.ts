/** One order for everyone: offsets, acks before events, one frame a topic and tick. */
import t from 'tap';
import { encode } from '../../src/protocol/codec.js';
import { Op, type Value } from '../../src/protocol/frames.js';
import { startOpen } from '../support/open-server.js';

t.test(
  'rule 2: many publish at once, and all subscribers see the same events in the same order with consecutive offsets',
  async (t) => {
    const { client } = await startOpen(t);
    const [publishers, count] = [6, 60];
    const clients = await Promise.all(Array.from({ length: publishers + 2 }, () => client()));
    await Promise.all(clients.map((each) => each.subscribe('chat:1')));
    await Promise.all(
      clients.slice(0, publishers).map(async (publisher, p) => {
        // Some alone, some a few in a message, so that they meet in one batch and in many.
        for (let n = 0; n < count; n += 3) {
          const frames = [0, 1, 2].map((i) => [Op.PUBLISH, publisher.nextId(), 'chat:1', 'message', null, [p, n + i]]);
          publisher.send(...frames);
          if (n % 2 === 0) await publisher.barrier();
        }
      }),
    );
    for (const each of clients) await each.event('chat:1', 'message', publishers * count);
    const [first, ...others] = clients.map((each) => each.events('chat:1'));
    t.strictSame(
      first?.map(([offset]) => offset),
      Array.from({ length: publishers * count }, (_, i) => i + 1),
    );
    for (const other of others) t.strictSame(other, first);
    for (let p = 0; p < publishers; p++) {
      const own = first?.map(([, , data]) => data as [number, number]).filter(([from]) => from === p);
      t.strictSame(
        own?.map(([, n]) => n),
        Array.from({ length: count }, (_, n) => n),
        'each publisher in its own order',
      );
    }
  },
);

t.test("rule 2: a publish's ACK comes before the EVENTS that hold it, on the publisher's own connection", async (t) => {
  const { client, server } = await startOpen(t);
  const publisher = await client();
  await publisher.subscribe('chat:1');
  for (let n = 0; n < 40; n++) {
    publisher.send([Op.PUBLISH, 1_000 + n, 'chat:1', 'message', null, n]);
    void server.publish('chat:1', 'notice', n);
    if (n % 4 === 0) await publisher.barrier();
  }
  await publisher.event('chat:1', 'message', 40);
  for (let n = 0; n < 40; n++) {
    const ack = publisher.frames.findIndex(([op, id]) => op === Op.ACK && id === 1_000 + n);
    const { offset } = publisher.frames[ack]?.[2] as { offset: number };
    const event = publisher.events('chat:1').find(([, name, data]) => name === 'message' && data === n);
    t.equal(event?.[0], offset, 'the ACK has the offset of the event');
    const holds = ([op, topic, from, ...items]: Value[]): boolean =>
      op === Op.EVENTS && topic === 'chat:1' && (from as number) <= offset && offset < (from as number) + items.length;
    t.ok(ack >= 0 && ack < publisher.frames.findIndex(holds));
  }
});

t.test('publishes of one connection to one topic keep their order while a policy takes its time', async (t) => {
  let allow: (yes: boolean) => void = () => undefined;
  const slow = new Promise<boolean>((resolve) => (allow = resolve));
  const { client } = await startOpen(t, {
    policy: {
      'chat:{id}': {
        publish: {
          message: () => slow,
          strict: async () => {
            throw new Error('the policy is broken');
          },
          notice: () => true,
        },
      },
    },
  });
  const publisher = await client();
  await publisher.subscribe('chat:1');
  await publisher.subscribe('chat:2');
  publisher.send(
    [Op.PUBLISH, 101, 'chat:1', 'message', null, 'first'],
    [Op.PUBLISH, 102, 'chat:1', 'strict', null, { n: 1 }],
    [Op.PUBLISH, 103, 'chat:1', 'notice', null, 'second'],
    [Op.PUBLISH, 104, 'chat:2', 'notice', null, 'elsewhere'],
  );
  await publisher.event('chat:2', 'notice');
  await t.rejects(
    publisher.publish('chat:1', 'strict', { n: 'no number' }),
    { code: 105 },
    'wrong data waits for nobody',
  );
  publisher.send([Op.PUBLISH, 105, 'chat:1', 'notice', null, 'third']);
  await publisher.barrier();
  t.strictSame(publisher.events('chat:1'), [], 'nothing overtakes the first, although one in between failed at once');
  allow(true);
  await publisher.event('chat:1', 'notice', 2);
  t.strictSame(
    publisher.events('chat:1').map(([, , data]) => data),
    ['first', 'second', 'third'],
  );
  await t.rejects(publisher.answer(102), { code: 130 });
});

t.test('the events of one tick leave as one EVENTS frame for each topic', async (t) => {
  const { client } = await startOpen(t);
  const [publisher, subscriber] = [await client(), await client()];
  for (const topic of ['chat:1', 'chat:2']) {
    await publisher.subscribe(topic);
    await subscriber.subscribe(topic);
  }
  // No more than are worked off at once however slow the machine is.
  publisher.send(...Array.from({ length: 30 }, (_, n) => [Op.PUBLISH, 0, `chat:${(n % 2) + 1}`, 'message', null, n]));
  await subscriber.event('chat:1', 'message', 15);
  await subscriber.event('chat:2', 'message', 15);
  const frames = subscriber.frames.filter(([op]) => op === Op.EVENTS);
  t.strictSame(
    frames.map(([, topic, first, ...items]) => [topic, first, items.length]),
    [
      ['chat:1', 1, 15],
      ['chat:2', 1, 15],
    ],
  );
});

t.test('frames are split between events at about 64 KiB; one larger event is a frame of its own', async (t) => {
  const { client, server } = await startOpen(t);
  const subscriber = await client();
  await subscriber.subscribe('chat:1');
  const sizes = [...Array<number>(40).fill(5_000), 200_000, ...Array<number>(20).fill(5_000)];
  for (const size of sizes) void server.publish('chat:1', 'notice', 'x'.repeat(size));
  await subscriber.event('chat:1', 'notice', sizes.length);
  t.strictSame(
    subscriber.events('chat:1').map(([offset]) => offset),
    sizes.map((_, i) => i + 1),
  );
  const frames = subscriber.frames.filter(([op]) => op === Op.EVENTS);
  for (const frame of frames) {
    const bytes = encode(frame).length;
    if (frame.length > 4) t.ok(bytes <= 64 * 1024 + 64, `${frame.length - 3} events in ${bytes} bytes`);
  }
  t.equal(frames.filter((frame) => encode(frame).length > 200_000).length, 1);
  t.ok(frames.length <= 7, 'and not into more than it takes');
});

t.test('the offsets of one topic mean nothing to another', async (t) => {
  const { client, server } = await startOpen(t);
  const subscriber = await client();
  for (let n = 0; n < 5; n++) await server.publish('news:1', 'headline', { text: `${n}` });
  t.strictSame((await subscriber.subscribe('news:1')).offset, 5);
  t.strictSame((await subscriber.subscribe('news:2')).offset, 0);
  await server.publish('news:2', 'headline', { text: 'first' });
  await subscriber.event('news:2', 'headline');
  t.strictSame(subscriber.events('news:2'), [[1, 'headline', { text: 'first' }, null]]);
});
