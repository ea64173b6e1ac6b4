/** /openapi.json is a valid document, and what it lists is what the server does: each operation is called. */
import { Validator } from '@seriousme/openapi-schema-validator';
import { Ajv2020 } from 'ajv/dist/2020.js';
import * as v from 'valibot';
import t from 'tap';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startServer, type Test } from '../support/server.js';
import { SECRET, tokenFor } from '../support/tokens.js';

const API_KEY = 'backend-key-0123456789';
/** The application's own fields are in the document, too. */
const own = { color: v.picklist(['red', 'blue']) };
const contract = defineContract({
  use: [roomsContract({ metadata: own })],
  topics: { 'room:{id}': { events: { note: v.unknown() } } },
});

interface Json {
  readonly [name: string]: Json;
}
interface Listed {
  readonly operationId: string;
  readonly parameters?: readonly { readonly name: string; readonly in: string; readonly required: boolean }[];
  readonly requestBody?: Json;
  readonly security?: readonly unknown[];
  readonly responses: Readonly<Record<string, { readonly content?: Readonly<Record<string, Json>> }>>;
}
interface Document extends Readonly<Record<string, unknown>> {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Listed>>>>;
}

function start(t: Test) {
  const plugins = [rooms({ metadata: own, defaults: { color: 'red' } }), http()] as const;
  return startServer(t, { contract, plugins, auth: { secret: SECRET, apiKeys: [API_KEY] } });
}

async function read(base: string): Promise<Document> {
  return (await (await fetch(`${base}/openapi.json`)).json()) as Document;
}

function* operations(document: Document): Generator<[id: string, path: string, method: string, listed: Listed]> {
  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, listed] of Object.entries(methods)) yield [listed.operationId, path, method, listed];
  }
}

/** Objects with named properties have no others: an answer must not hold what is not in the document. */
function closed(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(closed);
  if (typeof value !== 'object' || value === null) return value;
  const copy = Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, closed(inner)]));
  const isOpen = copy['type'] === 'object' && 'properties' in copy && !('additionalProperties' in copy);
  return isOpen ? { ...copy, additionalProperties: false } : copy;
}

/** Says whether data fits the schema at this place of the document. */
function judge(document: Document) {
  const ajv = new Ajv2020({ strict: false, allErrors: true });
  ajv.addSchema(closed(document) as object, 'doc');
  const place = (...parts: readonly string[]): string =>
    parts.map((part) => `/${encodeURIComponent(part.replaceAll('~', '~0').replaceAll('/', '~1'))}`).join('');
  return (data: unknown, ...parts: readonly string[]): string => {
    const check = ajv.compile({ $ref: `doc#${place(...parts, 'schema')}` });
    return check(data) ? '' : ajv.errorsText(check.errors);
  };
}

t.test('the document is valid OpenAPI 3.1 and has each name once', async (t) => {
  const s = await start(t);
  const document = await read(s.http);
  const result = await new Validator().validate(document);
  t.ok(result.valid, JSON.stringify(result.errors ?? '', null, 1).slice(0, 2_000));
  t.equal(document['openapi'], '3.1.0');
  const ids = [...operations(document)].map(([id]) => id);
  t.equal(new Set(ids).size, ids.length);
  for (const [id, path, , { parameters = [] }] of operations(document)) {
    const named = parameters.filter((parameter) => parameter.in === 'path').map(({ name }) => name);
    t.same(
      named,
      [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name),
      `${id} says what its path holds`,
    );
  }
});

interface Call {
  readonly status: number;
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: unknown;
}

t.test('every operation it lists answers with a status and a content that it lists', async (t) => {
  const s = await start(t);
  const document = await read(s.http);
  const fits = judge(document);
  const listed = new Map([...operations(document)].map(([id, path, method, one]) => [id, { path, method, one }]));
  const called = new Set<string>();

  const call = async (id: string, { status, params = {}, query = '', headers = {}, body }: Call): Promise<Json> => {
    const { path, method, one } = listed.get(id) ?? (t.fail(`${id} is not listed`) as never);
    called.add(id);
    const url = s.http + path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
    const wanted: Record<string, string> = { authorization: `Bearer ${API_KEY}`, ...headers };
    if (one.security?.length === 0) delete wanted['authorization'];
    for (const name of Object.keys(headers)) {
      t.ok(
        one.parameters?.some((parameter) => parameter.name === name || name === 'authorization'),
        `${id} lists ${name}`,
      );
    }
    if (body !== undefined) wanted['content-type'] = 'application/json';
    const response = await fetch(url + query, {
      method: method.toUpperCase(),
      headers: wanted,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    t.equal(response.status, status, `${id} → ${status} ${response.status === status ? '' : text}`);
    const { content } =
      one.responses[String(response.status)] ?? (t.fail(`${id} does not list ${response.status}`) as never);
    if (text === '') {
      t.equal(content, undefined, `${id} lists no content for ${status}`);
      return {};
    }
    const type = response.headers.get('content-type')?.split(';')[0] ?? '';
    t.ok(content !== undefined && type in content, `${id} lists ${type} for ${status}`);
    const data = (type.includes('json') ? JSON.parse(text) : text) as Json;
    t.equal(
      fits(data, 'paths', path, method, 'responses', String(status), 'content', type),
      '',
      `${id} ${status} fits`,
    );
    return data;
  };

  const roomId = 'demo';
  const room = { params: { roomId } };
  await call('getHealth', { status: 200 });
  await call('isLive', { status: 200 });
  await call('getNode', { status: 200 });
  await call('isReady', { status: 200 });
  await call('getOpenApi', { status: 200 });
  await call('getMetrics', { status: 200 });
  await call('checkDelivery', { status: 200 });

  await call('createRoom', { ...room, status: 201, body: { description: 'first', color: 'blue' } });
  await call('createRoom', { ...room, status: 409 });
  await call('createRoom', { params: { roomId: 'a b' }, status: 422 });
  await call('createRoom', { params: { roomId: 'x' }, status: 422, body: { color: 'green' } });
  await call('getRoom', { ...room, status: 200 });
  const { room: made } = await call('updateRoom', { ...room, status: 200, body: { frameCount: 3 } });
  const etag = `"${JSON.stringify(made?.['version'])}"`;
  await call('getRoom', { ...room, status: 304, headers: { 'if-none-match': etag } });
  await call('updateRoom', { ...room, status: 412, headers: { 'if-match': '"1"' }, body: { frameCount: 4 } });
  await call('updateRoom', { ...room, status: 400, headers: { 'if-match': 'x' }, body: { frameCount: 4 } });
  await call('updateRoom', { params: { roomId: 'none' }, status: 404, body: {} });
  await call('listRooms', { status: 200, query: '?limit=1&search=d&hidden=true' });
  await call('listRooms', { status: 400, query: '?limit=x' });
  await call('listRooms', { status: 400, query: '?hidden=perhaps' });
  await call('setDefaultRoom', { status: 200, body: { roomId } });
  await call('getDefaultRoom', { status: 200 });

  const ann = await s.client({ token: await tokenFor('ann') });
  await ann.call('join:room', { roomId });
  await ann.call('presenter:take', { roomId });
  await call('getRoom', { ...room, status: 200 });
  await call('listMembers', { ...room, status: 200 });
  await call('listMembers', { ...room, status: 400, query: '?cursor=x' });

  const lock = { params: { roomId, target: 'trajectory:meta' } };
  const lease = await call('acquireLock', { ...lock, status: 201, body: { msg: 'mine' } });
  const held = { 'lock-token': JSON.stringify(lease['token']) };
  await call('acquireLock', { ...lock, status: 423 });
  await call('listLocks', { ...room, status: 200 });
  await call('watchLocks', { status: 200 });
  await call('getRoom', { ...room, status: 200 });
  await call('updateRoom', { ...room, status: 423, body: { frameCount: 5 } });
  await call('updateRoom', { ...room, status: 200, headers: held, body: { frameCount: 5 } });
  await call('refreshLock', { ...lock, status: 200, headers: held });
  await call('refreshLock', { ...lock, status: 409, headers: { 'lock-token': '1' } });
  await call('releaseLock', { ...lock, status: 400 });
  await call('releaseLock', { ...lock, status: 204, headers: held });
  await call('releaseLock', { ...lock, status: 204, query: '?force=true' });

  const message = { topic: `room:${roomId}`, event: 'note', data: { text: 'hi' } };
  const keyed = { headers: { 'idempotency-key': 'k' } };
  await call('publish', { ...keyed, status: 200, body: message });
  await call('publish', { ...keyed, status: 422, body: { ...message, data: 1 } });
  await call('publish', { status: 200, body: { ...message, diagnose: true } });
  await call('publish', { status: 200, body: { messages: [message, { ...message, event: 'nope' }] } });
  await call('publish', { status: 404, body: { ...message, topic: 'nowhere' } });
  await call('publish', { status: 403, headers: { authorization: `Bearer ${await tokenFor('ann')}` }, body: message });
  await call('publish', { status: 401, headers: { authorization: 'Bearer nonsense' }, body: message });

  const topic = `room:${roomId}`;
  await call('getStats', { status: 200 });
  await call('listEdges', { status: 200 });
  await call('listNodes', { status: 200 });
  await call('drainEdge', { status: 404, params: { edge: 'nobody' } });
  await call('listTopics', { status: 200, query: '?search=room&limit=5' });
  await call('readEvents', { status: 200, params: { topic }, query: '?after=1&limit=5' });
  await call('readEvents', { status: 404, params: { topic: 'nowhere' } });
  await call('getContract', { status: 200 });
  await call('inspectTopic', { status: 200, params: { topic } });
  await call('inspectTopic', { status: 200, params: { topic: 'room:nobody' } });
  await call('explainDelivery', { status: 200, params: { topic }, query: '?offset=1&user=ann' });
  await call('explainDelivery', { status: 400, params: { topic } });
  await call('listUsers', { status: 200, query: '?search=an&limit=5' });
  await call('listUsers', { status: 400, query: '?limit=x' });
  await call('getUser', { status: 200, params: { userId: 'ann' } });
  const [sid] = ann.welcome.session;
  await call('getSession', { status: 200, params: { sid } });
  await call('getSession', { status: 404, params: { sid: 'none' } });
  for (const id of ['subscribeSession', 'unsubscribeSession']) {
    await call(id, { status: 200, params: { sid, topic } });
    await call(id, { status: 404, params: { sid: 'none', topic } });
  }
  for (const id of ['subscribeUser', 'unsubscribeUser']) {
    await call(id, { status: 200, params: { userId: 'ann', topic } });
    await call(id, { status: 404, params: { userId: 'ann', topic: 'nowhere' } });
  }
  await call('callSession', { status: 504, params: { sid }, body: { name: 'silence', timeoutMs: 1 } });
  await call('callSession', { status: 404, params: { sid: 'none' }, body: { name: 'silence' } });
  await call('kickMember', { status: 204, params: { roomId, userId: 'ann' } });
  await call('kickMember', { status: 404, params: { roomId, userId: 'ann' } });
  await call('kickSession', { status: 200, params: { sid } });
  await call('kickUserForReason', { status: 200, params: { userId: 'ann' }, body: { reason: 'enough' } });
  await call('kickUser', { status: 200, params: { userId: 'ann' } });
  await call('deleteRoom', { ...room, status: 204 });
  await call('deleteRoom', { ...room, status: 404 });

  t.same(
    [...listed.keys()].filter((id) => !called.has(id)),
    [],
    'none was left out',
  );
  t.same(s.log.errors, []);
});

t.test('what its schemas refuse, the server refuses, and what they take, it takes', async (t) => {
  const s = await start(t);
  const document = await read(s.http);
  const fits = judge(document);
  await s.server.plugins.rooms.create('demo');
  const cases: readonly [path: string, method: string, url: string, bodies: readonly unknown[]][] = [
    [
      '/api/rooms/{roomId}',
      'patch',
      '/api/rooms/demo',
      [
        {},
        { color: 'red' },
        { color: 1 },
        { frameCount: -1 },
        { frameCount: 1.5 },
        { group: 'a b' },
        { group: null },
        [],
        { nope: 1 },
      ],
    ],
    [
      '/api/publish',
      'post',
      '/api/publish',
      [
        { topic: 'room:demo', event: 'note', data: 1 },
        { topic: 'room:demo', event: 'note' },
        { topic: '', event: 'note', data: 1 },
        { messages: [] },
        { messages: 1 },
        { messages: [], topic: 'x' },
        { topic: 'room:demo', event: 'note', data: null, key: '' },
      ],
    ],
    ['/api/default-room', 'put', '/api/default-room', [{ roomId: null }, { roomId: 'demo' }, { roomId: 'a/b' }, {}]],
    [
      '/api/rooms/{roomId}/locks/{target}',
      'post',
      '/api/rooms/demo/locks/x',
      [{ ttl: 0 }, { ttl: '1' }, { msg: 'x'.repeat(501) }, { ttl: 5000, msg: null }],
    ],
  ];
  for (const [path, method, url, bodies] of cases) {
    const verdicts = new Set<boolean>();
    for (const body of bodies) {
      const text = JSON.stringify(body);
      const allowed = fits(body, 'paths', path, method, 'requestBody', 'content', 'application/json') === '';
      const response = await fetch(s.http + url, {
        method: method.toUpperCase(),
        headers: { authorization: `Bearer ${API_KEY}`, 'content-type': 'application/json' },
        body: text,
      });
      t.equal(response.status !== 422, allowed, `${method} ${path} ${text.slice(0, 80)} → ${response.status}`);
      verdicts.add(allowed);
    }
    t.equal(verdicts.size, 2, 'there are some of both');
  }
});
