/** What is wrong with a request is said once, and in the same words over the socket and over HTTP. */
import * as v from 'valibot';
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract, RoomFields } from '../../src/protocol/rooms-contract.js';
import { sentenceOf } from '../../src/protocol/validate.js';
import { http } from '../../src/http/http.js';
import { body, route } from '../../src/http/route.js';
import { json } from '../../src/http/problem.js';
import { rooms } from '../../src/rooms/rooms.js';
import { isDoubled, refusalsOf } from '../support/refusals.js';
import { startServer } from '../support/server.js';

const Order = v.object(
  { code: v.pipe(v.string('Missing required parameters: code'), v.maxLength(8)), count: v.optional(v.number()) },
  'Missing required parameters: code',
);
const contract = defineContract({ use: [roomsContract()], calls: { order: { input: Order } } });

t.test('no message about an input of the rooms names its field twice', async (t) => {
  let looked = 0;
  const inputs = Object.entries(contract.calls).map(([name, { input }]) => [name, input as v.GenericSchema] as const);
  for (const [name, input] of [...inputs, ['fields', RoomFields] as const]) {
    for (const refusal of refusalsOf(input)) {
      looked++;
      t.notOk(isDoubled(refusal), `${name}: ${refusal.sentence}`);
      t.notMatch(refusal.sentence, 'Invalid key');
    }
  }
  t.ok(looked > 500, `${looked} messages`);
});

t.test('a message that names its field stands alone; a list’s item is named by the list', async (t) => {
  const said = (schema: v.GenericSchema, input: unknown): string => {
    const { issues = [] } = v.safeParse(schema, input);
    return sentenceOf(issues[0] as v.BaseIssue<unknown>);
  };
  t.equal(said(Order, {}), 'Missing required parameters: code');
  t.equal(said(Order, { code: 'x'.repeat(9) }), 'code: Invalid length: Expected <=8 but received 9');
  t.equal(said(v.object({ code: v.string() }), {}), 'code: is missing');
  t.equal(said(v.strictObject({}), { code: 1 }), 'code: is unknown');
  const List = v.object({ tags: v.array(v.pipe(v.string(), v.minLength(1, 'tags have letters'))) });
  t.equal(said(List, { tags: [''] }), 'tags have letters');
  t.equal(said(List, { tags: [7] }), 'tags.0: Invalid type: Expected string but received 7');
  t.equal(said(v.object({ 0: v.picklist(['a']) }), { 0: '0' }), '0: Invalid type: Expected "a" but received "0"');
  t.equal(said(v.string(), 7), 'Invalid type: Expected string but received 7');
});

t.test('the socket and HTTP say the same of the same fault', async (t) => {
  const s = await startServer(t, { contract, plugins: [rooms(), http()] as const });
  s.server.handle('order', () => null);
  s.server.plugins.http.routes([
    {
      method: 'POST',
      path: '/order',
      handle: async ({ request }) => json(200, body(request, Order)),
    },
    route({
      method: 'GET',
      path: '/order',
      query: { code: v.pipe(v.string(), v.maxLength(8)) },
      answers: {},
      handle: async () => json(200, null),
    }),
  ]);
  const client = await s.client();
  const overSocket = async (call: string, input: object): Promise<string> => {
    const refused = await client.call(call, input).then(
      () => ({ message: 'taken' }),
      (error: unknown) => error as Error,
    );
    return refused.message;
  };
  const overHttp = async (method: string, path: string, body?: unknown): Promise<string> => {
    const headers = { 'content-type': 'application/json' };
    const sent = body === undefined ? {} : { headers, body: JSON.stringify(body) };
    const response = await fetch(s.http + path, { method, ...sent });
    return response.ok ? 'taken' : ((await response.json()) as { detail: string }).detail;
  };
  await s.server.plugins.rooms.create('demo');
  for (const input of [{}, { code: 7 }, { code: 'x'.repeat(9) }, { code: 'x', count: 'many' }]) {
    t.equal(await overHttp('POST', '/order', input), await overSocket('order', input), JSON.stringify(input));
  }
  t.equal(await overHttp('GET', '/order'), 'code: is missing');
  for (const roomId of ['a b', 'a:b', 'x'.repeat(129)]) {
    const path = `/api/rooms/${encodeURIComponent(roomId)}`;
    t.equal(await overHttp('GET', path), await overSocket('leave:room', { roomId }), roomId.slice(0, 9));
  }
  const lock = { roomId: 'demo', target: 'cell' };
  for (const wrong of [{ ttl: 0 }, { ttl: 'long' }, { msg: 7 }, { msg: 'x'.repeat(501) }]) {
    const told = await overSocket('lock:acquire', { ...lock, ...wrong });
    t.equal(await overHttp('POST', '/api/rooms/demo/locks/cell', wrong), told, JSON.stringify(wrong).slice(0, 20));
    t.not(told, 'taken');
  }
});
