/** examples/party-membership as its clients meet it: the program itself, over the SDK and over HTTP. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { WebSocket } from 'ws';
import type { Contract, RoomInfo } from '../../examples/party-membership/contract.js';
import type { ConnectOptions } from '../../src/client/node.js';
import { startExample } from '../support/example.js';
import { skipSocketPython, socketPython } from '../support/python.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

type Options = NonNullable<Parameters<typeof startExample>[2]>;

async function start(t: Parameters<typeof startExample>[0], { args = [], env = {} }: Options = {}) {
  const program = await startExample<Contract>(t, 'party-membership', { args, env: { JWT_SECRET: SECRET, ...env } });
  const token = (name: string) => tokenFor(`id-of-${name}`, { email: `${name}@example.com` });
  const device = async (name: string, options: ConnectOptions = {}) => program.sdk(await token(name), options);
  return {
    ...program,
    token,
    device,
    /** In the room, with all it hears of it. */
    async guest(name: string, code: string, options: ConnectOptions = {}) {
      const client = await device(name, options);
      const updates: RoomInfo[] = [];
      client.listen(`room:${code}`).on('room_info_updated', (info) => void updates.push(info));
      const joined = await client.call('join_room', { code });
      return {
        client,
        updates,
        joined,
        token: await token(name),
        request: () => client.call('request_room_info', { code }),
      };
    },
    async createRoom(name = 'ann'): Promise<string> {
      const { status, body } = await program.ask('/create-room', { method: 'POST', token: await token(name) });
      if (status !== 201) throw new Error(`answered ${status}`);
      return body['code'] as string;
    },
  };
}
const emails = ({ members }: RoomInfo): string[] => members.map(({ email }) => email.replace('@example.com', ''));
const seen = (updates: readonly RoomInfo[]): string[] =>
  updates.map((info) => `${emails(info).join(' ')} (${info.host?.replace('@example.com', '') ?? 'nobody'})`);

t.test('room_info_updated goes to all members, exactly once for each real change, and the host moves on', async (t) => {
  const { createRoom, guest, device } = await start(t);
  const code = await createRoom();
  const ann = await guest('ann', code);
  t.match(ann.joined, {
    code,
    host: 'ann@example.com',
    members: [{ email: 'ann@example.com', username: 'ann' }],
    member_count: 1,
  });
  const bob = await guest('bob', code.toLowerCase());
  t.same(emails(bob.joined), ['ann', 'bob'], 'a code may be typed in small letters');
  const cara = await guest('cara', code);
  // None of these is a change: joining again, a second device, asking.
  await ann.client.call('join_room', { code });
  await (await device('bob')).call('join_room', { code });
  await cara.request();
  t.same(await ann.client.call('leave_room', { code }), { code, left: true });
  await bob.request();
  await until(() => cara.updates.length === 2);
  await bob.client.call('leave_room', { code });
  await cara.request();
  t.same(seen(ann.updates), ['ann (ann)', 'ann bob (ann)', 'ann bob cara (ann)']);
  t.same(seen(cara.updates), ['ann bob cara (ann)', 'bob cara (bob)', 'cara (cara)']);
});

t.test('joining another room leaves the one before, safely: also for a device that sleeps', async (t) => {
  const { createRoom, guest, token, ask } = await start(t);
  const [first, second] = [await createRoom(), await createRoom()];
  const stays = await guest('bob', first);
  const ann = await guest('ann', first);
  ann.client.close();
  await until(() => stays.updates.length === 2);
  const again = await guest('ann', second);
  t.same(emails(again.joined), ['ann']);
  await until(() => stays.updates.length === 3);
  t.same(seen(stays.updates), ['bob (bob)', 'bob ann (bob)', 'bob (bob)']);
  await t.rejects(again.client.call('join_room', { code: 'NOSUCH' }), { name: 'room_not_found' });
  const info = await ask(`/get-room-info?code=${second}`, { token: await token('ann') });
  t.match(info, { status: 200, body: { member_count: 1 } }, 'a join that failed has left nothing');
});

t.test('a blip is seen by nobody; a sleeping phone stays a member, and its room gets another host', async (t) => {
  const { createRoom, guest, ask } = await start(t, { args: ['--host-grace', '300'] });
  const code = await createRoom();
  const sockets: WebSocket[] = [];
  class Cut extends WebSocket {
    constructor(url: string, protocols: string[]) {
      super(url, protocols);
      sockets.push(this);
    }
  }
  const ann = await guest('ann', code, { WebSocket: Cut, backoff: { baseMs: 1, maxMs: 5 } });
  const bob = await guest('bob', code);
  const sid = ann.client.state.get().sid;
  sockets[0]?.terminate();
  await until(() => sockets.length === 2 && ann.client.state.get().status === 'live');
  t.equal(ann.client.state.get().sid, sid, 'the same session');
  t.same(seen([await bob.request()]), ['ann bob (ann)']);
  t.same(seen(bob.updates), ['ann bob (ann)'], 'nobody was told anything');

  // Asleep: the session is over, the membership is not.
  ann.client.close();
  await until(() => bob.updates.length === 2);
  t.same(seen(bob.updates.slice(1)), ['ann bob (bob)'], 'after the grace the host is another');
  const back = await guest('ann', code);
  t.same(seen([back.joined]), ['ann bob (bob)']);
  t.equal((await ask(`/get-room-info?code=${code}`, { token: bob.token })).body['member_count'], 2);
  t.equal(bob.updates.length, 2, 'and coming back is no change');
});

t.test(
  'request_room_info is answered by room_info_response, HTTP says the same, and a refresh tells all members',
  async (t) => {
    const { createRoom, guest, ask } = await start(t);
    const code = await createRoom();
    const [ann, bob] = [await guest('ann', code), await guest('bob', code)];
    const responses: RoomInfo[] = [];
    ann.client.handle('room_info_response', (info) => void responses.push(info));
    const info = await ann.request();
    await until(() => responses.length === 1);
    t.same(responses, [info]);
    for (const asked of [{}, { method: 'POST', body: { code } }]) {
      const path = `/get-room-info${asked.method === undefined ? `?code=${code}` : ''}`;
      t.match(await ask(path, { ...asked, token: ann.token }), { status: 200, body: info });
    }
    await until(() => ann.updates.length === 2);
    const refreshed = await ask('/refresh-room-info', { method: 'POST', token: bob.token, body: { code } });
    t.match(refreshed, { status: 200, body: { room_info: info, matched: 2 } });
    await until(() => ann.updates.length === 3 && bob.updates.length === 2);
    t.same(ann.updates.at(-1), info);
  },
);

t.test('errors say what is wrong: 400, 401, 404 and 500 over HTTP, the same words over the socket', async (t) => {
  const luckless = `import crypto from 'node:crypto';import { syncBuiltinESMExports } from 'node:module';
    crypto.randomInt = () => { throw new Error('out of luck'); };syncBuiltinESMExports();`;
  const { createRoom, guest, device, ask, token, sdk } = await start(t);
  const code = await createRoom();
  await guest('ann', code);
  const eve = await device('eve');
  let asked = 0;
  for (const path of ['/get-room-info', '/refresh-room-info']) {
    // Each time another user, whom no rate stops.
    const post = async (sent: object, as?: string) =>
      ask(path, { method: 'POST', token: as ?? (await token(`eve-${asked++}`)), ...sent });
    for (const body of [{}, { code: '' }, { code: 7 }, [], null]) {
      t.match(await post({ body }), { status: 400, body: { error: 'Missing required parameters: code' } });
    }
    t.match(await post({ text: '{"code' }), { status: 400, body: { error: 'the body is not valid JSON' } });
    const absent = { status: 404, body: { error: 'Room not found or access denied' } };
    t.match(await post({ body: { code: 'NOSUCH' } }), absent);
    t.match(await post({ body: { code } }), absent, 'who is no member learns no more');
    const invalid = { status: 401, body: { error: 'Invalid JWT token' } };
    t.match(await post({ body: { code } }, 'forged.token.here'), invalid);
    t.match(await post({ body: { code } }, await tokenFor('eve')), invalid, 'without an e-mail it names nobody');
    t.match(await ask(path, { method: 'POST', body: { code } }), invalid);
  }
  t.match(await ask('/get-room-info', { token: await token('eve') }), { status: 400 });
  t.equal((await ask('/refresh-room-info', { token: await token('eve') })).status, 405);

  for (const call of ['join_room', 'leave_room', 'request_room_info'] as const) {
    await t.rejects(eve.call(call, {} as never), {
      name: 'invalid_data',
      message: 'Missing required parameters: code',
    });
    await t.rejects(eve.call(call, { code: 'NOSUCH' }), {
      name: 'room_not_found',
      message: 'Room not found or access denied',
    });
  }
  for (const call of ['leave_room', 'request_room_info'] as const) {
    await t.rejects(eve.call(call, { code }), { name: 'room_not_found' }, 'only members');
  }
  const forged = sdk('forged.token.here');
  forged.call('join_room', { code }).catch(() => undefined);
  await until(() => forged.state.get().status === 'refused' || forged.state.get().reason !== undefined);
  t.match(forged.state.get().reason, { name: 'unauthenticated' });

  const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(luckless)}`;
  const broken = await start(t, { env: { NODE_OPTIONS } });
  const answer = await broken.ask('/create-room', { method: 'POST', token: await broken.token('ann') });
  t.match(answer, { status: 500, body: { error: 'Internal server error' } }, 'and no word of what is inside');
  await until(() => broken.errors.some((line) => line.includes('out of luck')));
});

t.test('a username that cannot be had keeps nobody out', async (t) => {
  const asked: string[] = [];
  const service = createServer((request, response) => {
    asked.push(decodeURIComponent(request.url ?? ''));
    if (request.url?.includes('bob') === true) response.writeHead(500).end();
    else response.end(JSON.stringify({ username: 'Ann of Cleves' }));
  });
  await new Promise<void>((listening) => service.listen(0, '127.0.0.1', listening));
  t.teardown(() => service.close());
  const USERNAMES_URL = `http://127.0.0.1:${(service.address() as AddressInfo).port}/users`;
  const { createRoom, guest, errors } = await start(t, { env: { USERNAMES_URL } });
  const code = await createRoom();
  await guest('ann', code);
  const bob = await guest('bob', code);
  t.match(bob.joined.members, [{ username: 'Ann of Cleves' }, { email: 'bob@example.com', username: 'bob' }]);
  t.match(await bob.request(), bob.joined);
  t.same(asked, ['/users/ann@example.com', '/users/bob@example.com'], 'each was asked for once');
  t.ok(errors.some((line) => line.includes('no username')));
});

t.test('questions for the room info are limited, each user by itself', async (t) => {
  const { createRoom, guest, ask } = await start(t);
  const code = await createRoom();
  const [ann, bob] = [await guest('ann', code), await guest('bob', code)];
  const many = await Promise.allSettled(Array.from({ length: 30 }, () => ann.request()));
  const refused = many.filter((one) => one.status === 'rejected');
  t.ok(refused.length > 10, `${refused.length} of 30 refused`);
  t.match(refused[0]?.reason, { name: 'too_many', details: { retryAfterMs: Number } });
  const get = (token: string) => ask(`/get-room-info?code=${code}`, { token });
  const answers = await Promise.all(Array.from({ length: 30 }, () => get(ann.token)));
  const limited = answers.find(({ status }) => status === 429);
  t.match(limited, { status: 429, body: { error: String } });
  t.equal(limited?.headers.get('retry-after'), '1');
  t.equal((await get(bob.token)).status, 200);
  t.match(await bob.request(), { code });
});

t.test('members and host survive kill -9 of the program', async (t) => {
  const data = t.testdir();
  const before = await start(t, { args: ['--data', data] });
  const code = await before.createRoom();
  await before.guest('ann', code);
  const bob = await before.guest('bob', code);
  bob.client.close();
  before.child.kill('SIGKILL');
  await before.gone;
  const { ask, token } = await start(t, { args: ['--data', data] });
  const info = await ask(`/get-room-info?code=${code}`, { token: await token('bob') });
  t.match(info, { status: 200, body: { host: 'ann@example.com', member_count: 2 } });
});

t.test(
  'a phone in Python hears who comes and who goes, stays a member when it is put away, and leaves',
  { skip: skipSocketPython },
  async (t) => {
    const { createRoom, guest, token, url } = await start(t);
    const root = fileURLToPath(new URL('../..', import.meta.url));
    const code = await createRoom();
    const phone = async (...args: string[]) => {
      const child = spawn(socketPython, [`${root}examples/party-membership/phone.py`, ...args], {
        env: {
          ...process.env,
          ROOMWIRE_URL: url,
          TOKEN: await token('ann'),
          PYTHONPATH: `${root}clients/python`,
          PYTHONDONTWRITEBYTECODE: '1',
        },
      });
      const lines: string[] = [];
      for (const stream of [child.stdout, child.stderr])
        createInterface(stream).on('line', (line) => void lines.push(line));
      const ended = once(child, 'close').then(([status]) => status as number);
      t.teardown(() => child.kill('SIGKILL'));
      return { child, lines, ended };
    };
    const alone = 'ann (host: ann@example.com)';
    const both = 'ann bob (host: ann@example.com)';
    const ann = await phone(code);
    // What it asked for, and the update that its own coming caused.
    await until(() => ann.lines.length === 2);
    const bob = await guest('bob', code);
    await until(() => ann.lines.length === 3);
    t.same(ann.lines, [alone, alone, both]);
    ann.child.kill('SIGINT');
    t.equal(await ann.ended, 0);
    t.same(emails(await bob.request()), ['ann', 'bob'], 'a phone that is put away has left nothing');

    const leaves = await phone(code, '--leave');
    t.equal(await leaves.ended, 0);
    t.same(leaves.lines, ['left']);
    await until(() => bob.updates.length === 2);
    t.same(seen(bob.updates), ['ann bob (ann)', 'bob (bob)']);
    const lost = await phone('NOSUCH');
    t.equal(await lost.ended, 1);
    t.same(lost.lines, ['refused (room_not_found): Room not found or access denied']);
  },
);
