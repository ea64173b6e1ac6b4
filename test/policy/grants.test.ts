/** Grants by claims, as pure functions; and the policies that cannot be meant, refused when the server is made. */
import t from 'tap';
import { byClaims, parseGrants } from '../../src/policy/grants.js';
import { policy, type PolicyGrants, type PolicyOptions } from '../../src/policy/policy.js';
import { defineContract } from '../../src/protocol/contract.js';
import { rooms } from '../../src/rooms/rooms.js';
import type { User } from '../../src/server/api.js';
import { createServer } from '../../src/server/server.js';
import { openContract } from '../support/server.js';
import { roomContract } from '../support/rooms.js';

function user(claims: object = {}): User {
  return { id: 'ann', name: 'Ann', ...claims };
}
function grants(list: readonly string[], who: User, topic?: string): boolean {
  return byClaims(parseGrants(list, ['member', 'hook'], 'here'), who, topic);
}

t.test('any grant of a list is enough, and none but those in it', async (t) => {
  t.ok(grants(['everyone'], user()));
  t.notOk(grants(['nobody'], user({ roles: ['nobody'], groups: ['nobody'] })));
  t.ok(grants(['role:editor', 'role:admin'], user({ roles: ['admin'] })));
  t.notOk(grants(['role:editor'], user({ groups: ['editor'] })), 'a group is no role');
  t.ok(grants(['group:a:b'], user({ groups: ['a:b'] })));
  t.ok(grants(['user:ann'], user()));
  t.notOk(grants(['user:bob', 'member', 'hook'], user()), 'who is a member is not told by claims');
});

t.test('claims of the wrong form grant nothing', async (t) => {
  for (const roles of ['editor', { 0: 'editor', length: 1 }, null, 7, [['editor']]]) {
    t.notOk(grants(['role:editor'], user({ roles })), JSON.stringify(roles));
  }
});

t.test("`token` grants the topics of the token's `rooms`", async (t) => {
  const who = user({ rooms: ['room:a', 'room:team-{x}', 'board:{x}:{y}', '{bad', 7, 'room:{a}{b}'] });
  for (const topic of ['room:a', 'room:team-1', 'board:1:2']) t.ok(grants(['token'], who, topic), topic);
  for (const topic of ['room:b', 'room:a2', 'room:team-', 'board:1', 'room:xy'])
    t.notOk(grants(['token'], who, topic), topic);
  t.notOk(grants(['token'], who), 'without a topic');
  t.notOk(grants(['token'], user(), 'room:a'));
});

t.test('a token cannot make matching slow', async (t) => {
  const who = user({ rooms: [`room:${'{a}x'.repeat(40)}`] });
  t.notOk(grants(['token'], who, `room:${'x'.repeat(190)}y`));
});

t.test('a policy that cannot be meant stops the start with what is wrong', async (t) => {
  const contract = defineContract({ use: [roomContract, openContract] });
  const make =
    (given: PolicyGrants, options: PolicyOptions = { ask: () => true }) =>
    () =>
      createServer({ contract, plugins: [rooms(), policy(given, options)] as const });
  const topic = (pattern: string, actions: object) => make({ topics: { [pattern]: actions } });
  t.doesNotThrow(
    topic('room:{id}', { see: ['member', 'role:x'], join: ['hook'], publish: { 'chat:*': ['presenter'] } }),
  );
  const wrong: [() => unknown, RegExp][] = [
    [topic('room:{id}', { join: [] }), /room:\{id\}: join: list at least one/],
    [topic('room:{id}', { join: ['role:'] }), /'role:' is no grant/],
    [topic('room:{id}', { join: ['Everyone'] }), /'Everyone' is no grant/],
    [topic('room:{id}', { join: ['nobody', 'role:x'] }), /stands alone/],
    [topic('room:{id}', { see: ['hook'] }), /see: 'hook' is no grant here/],
    [topic('rooms:{id}', { join: ['everyone'] }), /no such topics/],
    [topic('{kind}:{id}', { join: ['everyone'] }), /begin a pattern with the kind/],
    [topic('room:{id', { join: ['everyone'] }), /placeholder/],
    [topic('chat:{id}', { lock: ['everyone'] }), /'lock' is for rooms/],
    [topic('chat:{id}', { join: ['host'] }), /'host' is no grant here/],
    [topic('kept:{id}', { join: ['everyone'] }), /rule those under 'calls'/],
    [topic('room:{id}', { publish: { 'room:update': ['everyone'] } }), /the server's own/],
    [topic('room:{id}', { publish: { 'chat:mesage': ['everyone'] } }), /no event 'chat:mesage'/],
    [topic('room:{id}', { publish: { 'chats:*': ['everyone'] } }), /no event/],
    [make({ calls: { 'no:such': ['everyone'] } }), /no call 'no:such'/],
    [make({ calls: { 'no:*': ['everyone'] } }), /no call 'no:\*'/],
    [make({ topics: { 'room:{id}': { join: ['token'] }, 'room:staff-{id}': { join: ['role:x'] } } }), /narrower first/],
    [make({ calls: { echo: ['hook'] } }, {}), /'hook' asks a backend/],
  ];
  for (const [made, message] of wrong) t.throws(made, { name: 'TypeError', message }, String(message));
  t.doesNotThrow(make({ topics: { 'room:staff-{id}': { join: ['role:x'] }, 'room:{id}': { join: ['token'] } } }));
});
