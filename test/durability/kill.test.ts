/**
 * Rule 3: what was delivered or acknowledged is there after `kill -9`. Each round kills a real server
 * in the middle of traffic; the checker holds what clients were told against what the next server says.
 */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { Child } from '../chaos/child.js';
import { check } from '../chaos/checker.js';
import { textOf, type At } from '../chaos/history.js';
import { Recorder } from '../chaos/recorder.js';
import { engine } from '../support/server.js';
import { tokenFor } from '../support/tokens.js';
import { WireClient } from '../support/wire-client.js';

const ROUNDS = 3;
const TOPIC = 'room:demo';
const EVENT = 'message';
const token = await tokenFor('ann');

async function start(t: { teardown(fn: () => unknown): void }, path: string) {
  const child = new Child({ path, store: 'lmdb', engine, port: 0 });
  t.teardown(() => child.kill());
  return { url: `ws://127.0.0.1:${await child.start()}`, kill: () => child.kill() };
}

type Joined = { readonly positions: Readonly<Record<string, At>> };

t.test('rule 3: whatever was acknowledged or delivered survives kill -9, with its offset and epoch', async (t) => {
  const path = t.testdir();
  const recorder = new Recorder();
  let server = await start(t, path);
  const join = async (instance: string) => {
    const client = new WireClient(server.url);
    const { session } = await client.hello({ token, instance });
    const { positions } = await client.call<Joined>('join:room', { roomId: 'demo', create: true });
    return { client, session, instance, at: positions[TOPIC] as At };
  };
  /** All that a client was told of the topic after `at`. */
  const note = (who: string, client: WireClient, [epoch]: At, at?: At): void => {
    recorder.note({ kind: 'begin', who, topic: TOPIC, at });
    for (const [offset, event, data, by] of client.events(TOPIC)) {
      recorder.note({ kind: 'event', who, topic: TOPIC, at: [epoch, offset], by, text: textOf(event, data) });
    }
  };
  let written = 0;

  for (let round = 0; round < ROUNDS; round++) {
    const reader = await join(`reader-${round}`);
    const writer = await join(`writer-${round}`);
    const topic = {
      topic: TOPIC,
      publish: (event: string, data: unknown) => writer.client.publish(TOPIC, event, data),
    };
    // A stream of publishes without waiting; the kill comes when some hundred are acknowledged.
    let acknowledged = 0;
    await new Promise<void>((resolve) => {
      const publish = (): void => {
        recorder.publish(writer.instance, topic, EVENT, { text: `event ${written++}` }).then(
          () => {
            if (++acknowledged === 300) resolve();
            publish();
          },
          () => {},
        );
      };
      for (let i = 0; i < 20; i++) publish();
    });
    recorder.note({ kind: 'server', forgets: false });
    await server.kill();
    for (const { client, instance, at } of [reader, writer]) {
      await client.closed;
      note(instance, client, at);
      recorder.note({ kind: 'end', who: instance, topic: TOPIC });
    }

    server = await start(t, path);
    // The whole log again, from its beginning: a session in the room resumes from offset 0.
    const { client, session, instance, at } = await join(`history-${round}`);
    const [epoch] = at;
    client.cut();
    await client.closed;
    const again = new WireClient(server.url);
    const resumed = await again.hello({ token, instance, session, resume: { [TOPIC]: [epoch, 0] } });
    t.match(resumed, { resumed: true, topics: { [TOPIC]: { recovered: true, epoch } } });
    await again.barrier();
    note(instance, again, at, [epoch, 0]);
    recorder.note({ kind: 'head', topic: TOPIC, at });
    const { complaints, lost, doubled } = check(recorder.history);
    t.strictSame(complaints, []);
    t.match({ lost, doubled }, { lost: 0, doubled: 0 }, `${acknowledged} acknowledged`);
    recorder.note({ kind: 'end', who: instance, topic: TOPIC });
    again.send([Op.BYE]);
    await again.closed;
  }
  await server.kill();
});

t.test('rule 6: a lock and its token survive kill -9, and the next token is greater', async (t) => {
  const path = t.testdir();
  let server = await start(t, path);
  const holder = new WireClient(server.url);
  const welcome = await holder.hello({ token, instance: 'holder', grace: 60_000 });
  await holder.call('join:room', { roomId: 'demo', create: true });
  const lease = await holder.call<{ token: number }>('lock:acquire', { roomId: 'demo', ttl: 60_000, msg: 'Uploading' });
  await server.kill();
  await holder.closed;

  server = await start(t, path);
  const other = new WireClient(server.url);
  await other.hello({ token, instance: 'other' });
  await other.call('join:room', { roomId: 'demo' });
  await t.rejects(other.call('lock:acquire', { roomId: 'demo' }), { code: 205, details: { msg: 'Uploading' } });
  const back = new WireClient(server.url);
  t.match(await back.hello({ token, instance: 'holder', session: welcome.session }), { resumed: true });
  t.match(await back.call('lock:release', { roomId: 'demo', token: lease.token }), { released: true });
  const next = await other.call<{ token: number }>('lock:acquire', { roomId: 'demo' });
  t.ok(next.token > lease.token);
  for (const client of [back, other]) client.cut();
  await server.kill();
});
