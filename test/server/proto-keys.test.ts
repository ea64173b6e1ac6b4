/** An event with a map key `__proto__` makes common decoders throw: it would end each subscriber at each resume. */
import { decodeMulti } from '@msgpack/msgpack';
import fc from 'fast-check';
import * as v from 'valibot';
import t from 'tap';
import { http } from '../../src/http/http.js';
import { concat, encode } from '../../src/protocol/codec.js';
import { defineContract } from '../../src/protocol/contract.js';
import { Op } from '../../src/protocol/frames.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { holdsProtoKey, sawProtoKey, scanMessage } from '../../src/protocol/scan.js';
import { rooms } from '../../src/rooms/rooms.js';
import { proto } from '../hostile/bytes.js';
import { startServer, type Test } from '../support/server.js';

const contract = defineContract({
  use: [roomsContract({ metadata: { extra: v.unknown() } })],
  topics: {
    'chat:{id}': {
      events: {
        message: { schema: v.unknown(), publish: 'subscribers' },
        strict: { schema: v.object({ n: v.number() }), publish: 'subscribers' },
      },
    },
  },
  calls: { echo: { input: v.unknown() }, say: { input: v.unknown() } },
});

async function start(t: Test) {
  const s = await startServer(t, {
    contract,
    plugins: [rooms({ metadata: { extra: v.unknown() }, defaults: { extra: null } }), http()] as const,
    setup(server) {
      server.handle('echo' as never, ({ input }: { input: unknown }) => input);
      server.handle(
        'say' as never,
        (({ input, publish }: { input: unknown; publish: (...args: unknown[]) => unknown }) =>
          publish('chat:1', 'message', input)) as never,
      );
    },
  });
  const post = async (method: string, path: string, body: string) => {
    const headers = { 'content-type': 'application/json' };
    const response = await fetch(s.http + path, { method, headers, body });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  };
  return { ...s, post };
}

const deep = { a: [1, { b: proto({ admin: true }) }] };

/** The key in each of its encodings. */
const heads = { fixstr: [0xa9], 'str 8': [0xd9, 9], 'str 16': [0xda, 0, 9], 'str 32': [0xdb, 0, 0, 0, 9] };
const encodings = Object.entries(heads).map(
  ([name, head]) =>
    [name, concat([Uint8Array.from([0x81, ...head]), Buffer.from('__proto__'), Uint8Array.from([1])])] as const,
);

t.test('whichever way such data comes, it is refused where it would be an event, and the sender goes on', async (t) => {
  const s = await start(t);
  const ann = await s.client();
  await ann.call('join:room', { roomId: 'r', create: true });
  await ann.subscribe('chat:1');
  const { epoch } = await ann.subscribe('chat:1');
  const refused = { code: 105 };
  for (const data of [proto(1), deep, [proto(null)]]) {
    await t.rejects(ann.publish('chat:1', 'message', data), refused);
    await t.rejects(ann.publish('chat:1', 'message', data, 'key'), refused);
    await t.rejects(s.server.publish('chat:1' as never, 'message' as never, data as never), { name: 'invalid_data' });
    for (const from of [undefined, s.server.session(ann.welcome.session[0])]) {
      const options = from === undefined ? {} : { from };
      await t.rejects(
        s.server.transact((tx) => tx.publish('chat:1', 'message', data, options)),
        { name: 'invalid_data' },
      );
    }
    await t.rejects(
      s.server.transact((tx) => tx.volatile('chat:1', 'message', 'slot', data)),
      { name: 'invalid_data' },
    );
    await t.rejects(ann.call('say', data), refused, 'a handler that publishes what it was sent');
    const json = JSON.stringify(data);
    t.match(await s.post('POST', '/api/publish', `{"topic":"chat:1","event":"message","data":${json}}`), {
      status: 422,
    });
    t.match(await s.post('PATCH', '/api/rooms/r', `{"extra":${json}}`), { status: 422 });
    t.match(await s.post('POST', '/api/rooms/other', `{"extra":${json}}`), { status: 422 });
  }
  await t.rejects(ann.publish('chat:1', 'strict', { ...proto(1), n: 1 }), refused, 'also what a schema would let pass');
  ann.send([Op.VOLATILE, 'chat:1', 'message', 'slot', deep]);
  t.match(await ann.frame(([op, id]) => op === Op.NACK && id === 0), [
    Op.NACK,
    0,
    105,
    /__proto__/,
    { topic: 'chat:1' },
  ]);
  const batch = await s.post(
    'POST',
    '/api/publish',
    `{"messages":[{"topic":"chat:1","event":"message","data":1},{"topic":"chat:1","event":"message","data":{"a":{"\\u005f_proto__":1}}}]}`,
  );
  t.match(batch, {
    status: 200,
    body: { results: [{ offset: 1 }, { error: { status: 422, details: { issues: [{ path: 'a.__proto__' }] } } }] },
  });

  // What is no key of an event's is as good as any other text.
  t.match(await ann.publish('chat:1', 'message', ['__proto__', { proto: '__proto__', __proto: 1, __proto___: 1 }]), {
    offset: 2,
  });
  t.strictSame(JSON.stringify(await ann.call('echo', deep)), JSON.stringify(deep), 'calls carry it');
  await t.rejects(ann.publish('chat:1', 'message', proto(1)), refused);
  for (const [name, data] of encodings) {
    const [before, id, after] = [ann.nextId(), ann.nextId(), ann.nextId()];
    const head = [Uint8Array.from([0x96]), ...[Op.PUBLISH, id, 'chat:1', 'message', null].map((part) => encode(part))];
    // A frame before it may have stored frames read, and the key must still be found.
    const calls = [before, after].map((call) => encode([Op.CALL, call, 'echo', call]));
    calls[0] = concat([calls[0] as Uint8Array, encode([Op.SUBSCRIBE, ann.nextId(), 'chat:1', [epoch, 0]])]);
    ann.socket.send(concat([calls[0], ...head, data, calls[1] as Uint8Array]));
    t.equal(await ann.answer(before), before, name);
    await t.rejects(ann.answer(id), refused, name);
    t.equal(await ann.answer(after), after, `${name}: the frames around it are done`);
  }
  t.match(await s.server.inspect('chat:1'), { head: 2 });
  // And a subscriber with such a decoder comes back.
  const back = await s.client({ resume: { 'chat:1': [epoch, 0] } });
  const events = await back.frame(([op, topic]) => op === Op.EVENTS && topic === 'chat:1');
  t.equal([...decodeMulti(encode(events))].length, 1);
  t.same(s.log.errors, []);
});

t.test('the scanner sees the key wherever it is one, and nowhere else', async (t) => {
  const text = fc.oneof(fc.constantFrom('__proto__', '__proto_', '_a_proto_', 'timestamp'), fc.string());
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      text,
      fc.integer(),
      fc.array(tie('value'), { maxLength: 4 }),
      fc.array(fc.tuple(text, tie('value')), { maxLength: 4 }).map((members) => Object.fromEntries(members) as object),
    ),
  }));
  const holds = (data: unknown): boolean =>
    typeof data === 'object' &&
    data !== null &&
    ((!Array.isArray(data) && Object.hasOwn(data, '__proto__')) || Object.values(data).some(holds));
  fc.assert(
    fc.property(fc.array(value, { minLength: 1, maxLength: 3 }), (parts) => {
      const bytes = concat(parts.map((part) => encode([Op.PUBLISH, part])));
      t.equal(scanMessage(bytes, []), parts.length);
      t.equal(sawProtoKey(), parts.some(holds));
      const saw = sawProtoKey();
      for (const part of parts) t.equal(holdsProtoKey(encode(part)), holds(part));
      t.equal(sawProtoKey(), saw, 'what it saw of the message stays');
    }),
    { numRuns: 300 },
  );
});
