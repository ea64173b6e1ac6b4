/** Compares the real world with the model, after every piece of time and every command. Throws what differs. */
import { deepEqual, equal, fail } from 'node:assert/strict';
import type { RoomState } from '../../../src/client/node.js';
import type { Clients, Model } from './model.js';
import { LEASE_MS, roomIds, topics } from './plan.js';
import type { ModelRoom } from './server-model.js';
import { misheard } from './stream-check.js';
import type { RealClient } from './real-client.js';
import type { World } from './world.js';

export async function check(model: Model, world: World): Promise<void> {
  if (world.problems.length > 0) fail(world.problems.join('; '));
  for (const [client, real] of each(model, world)) if (client.live) giveBack(model, client, real);
  const before = new Map(topics.map((topic) => [topic, model.server.topic(topic).head]));
  for (const topic of topics) await checkLog(model, world, topic);
  for (const id of roomIds) await checkRoom(model, world, id);
  for (const [client, real] of each(model, world)) {
    for (const topic of topics) checkStream({ model, client, real, topic, before: before.get(topic) as number });
    client.turns.clear();
    if (client.live) checkLive(model, world, client, real);
  }
  checkAnswers(model);
}

/** Who may have lost a lock with the connection believes so before the server does, and gives it back on return. */
function giveBack({ server }: Model, client: Clients[number], { locks }: RealClient): void {
  for (const [key, { lock, shaken }] of client.locks) {
    const [room = '', target = ''] = key.split(' ');
    if (!shaken || !client.session || locks.get(key)?.signal.aborted !== true) continue;
    server.apply(client.session, { do: 'unlock', room, target, lock });
  }
}

function* each(model: Model, world: World): Generator<[Clients[number], RealClient]> {
  for (const [i, client] of model.clients.entries()) yield [client, world.clients[i] as RealClient];
}

/** The log has grown by just what the model says, whatever its order. */
async function checkLog(model: Model, world: World, name: string): Promise<void> {
  const topic = model.server.topic(name);
  const { epoch, texts } = await world.log(name, topic.head);
  if (topic.head > 0) equal(epoch, topic.epoch, `${name} has another epoch`);
  deepEqual([...texts].sort(), topic.added.splice(0).sort(), `what was added to ${name}`);
  topic.epoch = epoch === '' ? undefined : epoch;
  topic.log.push(...texts);
}

async function checkRoom({ server }: Model, world: World, id: string): Promise<void> {
  const room = server.rooms.get(id);
  const snapshot = await world.server.plugins.rooms.snapshot(id).catch(() => undefined);
  if (snapshot === undefined || room === undefined) {
    equal(snapshot === undefined, room === undefined, `whether there is a room ${id}`);
    return;
  }
  const { locks: list, presenter, host } = snapshot.holders;
  const locks = Object.fromEntries(list.map((lock) => [lock.target, lock]));
  deepEqual(shownRoom({ ...snapshot, locks, presenter, host }), expectedRoom(room), `room ${id} on the server`);
}

type Shown = Pick<RoomState, 'members' | 'memberCount' | 'presenter' | 'host' | 'metadata'> & {
  readonly locks: Readonly<Record<string, { readonly sid: string | null }>>;
};

function shownRoom({ members, memberCount, locks, presenter, host, metadata }: Shown) {
  return {
    members: members.map(({ userId, online }) => `${userId} ${online}`),
    memberCount,
    locks: Object.fromEntries(Object.entries(locks).map(([target, { sid }]) => [target, sid])),
    presenter: presenter?.sid ?? null,
    presenterSid: metadata?.presenterSid ?? null,
    host: host?.userId ?? null,
    metadataLocked: metadata?.metadataLocked?.userName ?? null,
  };
}

function expectedRoom({ members, locks, presenter, host }: ModelRoom): ReturnType<typeof shownRoom> {
  return {
    members: [...members].map(([user, sessions]) => `${user} ${sessions.length}`),
    memberCount: members.size,
    locks: Object.fromEntries([...locks].map(([target, { session }]) => [target, session.sid ?? null])),
    presenter: presenter?.sid ?? null,
    presenterSid: presenter?.sid ?? null,
    host: host ?? null,
    metadataLocked: locks.get('trajectory:meta')?.session.user ?? null,
  };
}

function checkStream({
  model,
  client,
  real,
  topic,
  before,
}: {
  readonly model: Model;
  readonly client: Clients[number];
  readonly real: RealClient;
  readonly topic: string;
  readonly before: number;
}): void {
  const { log, epoch } = model.server.topic(topic);
  const seen = real.take(topic);
  const want = client.wants.get(topic);
  const turns = client.turns.get(topic) ?? [];
  const { live } = client;
  const mayHaveMissed = (behind: number): boolean => model.server.mayHaveMissed(behind);
  const wrong = misheard({ seen, want, turns, live, log, epoch, before, mayHaveMissed });
  if (wrong !== undefined) {
    const at = JSON.stringify(want?.at);
    fail(`${client.name} in ${topic} ${wrong}; turns: ${turns.join()}, at: ${at}, seen: ${JSON.stringify(seen)}`);
  }
  if (live && want?.ready === true) want.at = [epoch, log.length];
}

/** What a client with a connection says it knows is what there is. */
function checkLive(model: Model, world: World, client: Clients[number], real: RealClient): void {
  const { name } = client;
  const session = client.session as NonNullable<Clients[number]['session']>;
  const { status, sid, reason } = real.sdk.state.get();
  equal(status, 'live', `${name} is not live: ${JSON.stringify(reason)}`);
  equal(sid, session.sid, `the session of ${name}`);
  deepEqual([...(world.server.session(session.sid as string)?.topics ?? [])].sort(), [...session.topics].sort());
  for (const id of roomIds) {
    const state = real.sdk.room(id).state.get();
    const room = model.server.rooms.get(id);
    const isIn = client.wants.get(`room:${id}`)?.ready === true;
    equal(state.status === 'joined', isIn, `${name} is ${state.status} in room ${id}`);
    if (isIn) deepEqual(shownRoom(state), expectedRoom(room as ModelRoom), `room ${id} as ${name} has it`);
  }
  for (const [topic, { at }] of client.wants) {
    const position = real.subscriptions.get(topic)?.position;
    if (position !== undefined && at[0] !== undefined) deepEqual(position, at, `the position of ${name} in ${topic}`);
    checkSlots(model, client, real, topic);
  }
  checkLocks(model, client, real);
}

function checkSlots(model: Model, client: Clients[number], real: RealClient, topic: string): void {
  for (const [session, slots] of model.server.topic(topic).slots) {
    for (const [slot, n] of slots) {
      const value = real.slots.get(`${topic} ${slot} ${session.sid}`);
      deepEqual(value, { n }, `the newest value of ${slot} in ${topic} as ${client.name} has it`);
    }
  }
}

/** A client never believes in a lock that is another's, and gives up none that it could keep. */
function checkLocks(model: Model, client: Clients[number], real: RealClient): void {
  for (const [key, { lock, shaken }] of client.locks) {
    const [roomId = '', target = ''] = key.split(' ');
    const held = model.server.rooms.get(roomId)?.locks.get(target) === lock;
    const believed = real.locks.get(key);
    if (believed === undefined) fail(`${client.name} was not given ${key}`);
    const { aborted } = believed.signal;
    if (aborted) {
      if (held && !shaken) fail(`${client.name} gave up ${key} for nothing`);
      client.locks.delete(key);
      continue;
    }
    if (!held) fail(`${client.name} believes in ${key}, which is over`);
    // It renews the lease by itself; when is its own affair.
    const left = believed.expiresAt - model.server.now;
    if (left > LEASE_MS || left < LEASE_MS / 2) fail(`the lease of ${key} has ${left} ms left`);
    lock.due = believed.expiresAt;
  }
}

function checkAnswers(model: Model): void {
  for (const [waiting, outcome] of model.asked) {
    const { answer, op } = waiting;
    if (answer === undefined) continue;
    const what = JSON.stringify(op);
    if (outcome.state === 'waiting') fail(`${what} was not answered`);
    model.asked.delete(waiting);
    // Whoever leaves what is left already has what was wanted; an old token releases nothing.
    if (op.do === 'leave' || op.do === 'unsubscribe' || op.do === 'unlock') continue;
    const refused = outcome.error?.name;
    // Who is no member any more may be told so in different words.
    if (answer.refusal !== undefined && refused !== undefined && !isWord(answer.refusal)) continue;
    equal(refused, answer.refusal, `the answer of ${what}`);
  }
}

const isWord = (refusal: string): boolean => refusal === 'lock_held' || refusal === 'not_holder';
