/**
 * Rule 3: what was delivered or acknowledged is there after `kill -9`. Each round kills a real server
 * in the middle of traffic and compares what clients were told with what the next server says.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { engine } from '../support/server.js';
import { WireClient } from '../support/wire-client.js';

const program = new URL('./serve-child.ts', import.meta.url).pathname;
const ROUNDS = 3;
const TOPIC = 'room:demo';
const EVENT = 'chat:message:new';

async function start(t: { teardown(fn: () => unknown): void }, path: string) {
  const child: ChildProcess = spawn(process.execPath, ['--import', 'tsx', program, path, engine], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  t.teardown(() => child.kill('SIGKILL'));
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const port = Number(line.toString());
  return {
    url: `ws://127.0.0.1:${port}`,
    async kill() {
      const closed = once(child, 'close');
      child.kill('SIGKILL');
      await closed;
    },
  };
}

/** What a client was told of the topic: offset → text. */
function told(client: WireClient): Map<number, string> {
  return new Map(
    client
      .events(TOPIC)
      .filter(([, event]) => event === EVENT)
      .map(([offset, , data]) => [offset, (data as { text: string }).text]),
  );
}

t.test('rule 3: whatever was acknowledged or delivered survives kill -9, with its offset and epoch', async (t) => {
  const path = t.testdir();
  let server = await start(t, path);
  /** Everything any client was ever told, by offset. */
  const known = new Map<number, string>();
  let epoch: string | undefined;
  let written = 0;

  for (let round = 0; round < ROUNDS; round++) {
    const reader = new WireClient(server.url);
    const writer = new WireClient(server.url);
    await reader.hello({ instance: `reader-${round}` });
    await writer.hello({ instance: `writer-${round}` });
    const joined = await reader.call<{ positions: Record<string, [string, number]> }>('join:room', {
      roomId: 'demo',
      create: true,
    });
    await writer.call('join:room', { roomId: 'demo' });
    const [now] = joined.positions[TOPIC] as [string, number];
    epoch ??= now;
    t.equal(now, epoch, 'the epoch is the same after the kill');

    // A stream of publishes without waiting; the kill comes when some hundred are acknowledged.
    const acknowledged = new Map<number, string>();
    const enough = new Promise<void>((resolve) => {
      const publish = (): void => {
        const text = `event ${written++}`;
        writer.publish(TOPIC, EVENT, { text }).then(
          ({ offset }) => {
            acknowledged.set(offset, text);
            if (acknowledged.size === 300) resolve();
            publish();
          },
          () => {},
        );
      };
      for (let i = 0; i < 20; i++) publish();
    });
    await enough;
    await server.kill();
    await Promise.all([reader.closed, writer.closed]);
    for (const [offset, text] of [...acknowledged, ...told(reader), ...told(writer)]) {
      t.ok(!known.has(offset) || known.get(offset) === text, `offset ${offset} has one meaning`);
      known.set(offset, text);
    }

    server = await start(t, path);
    const checker = new WireClient(server.url);
    await checker.hello({ instance: `checker-${round}` });
    const back = await checker.call<{ positions: Record<string, [string, number]> }>('join:room', { roomId: 'demo' });
    const [, head] = back.positions[TOPIC] as [string, number];
    t.ok(head >= Math.max(...known.keys()), 'the head is not before anything told');
    // The whole log again, from its beginning: a session in the room resumes from offset 0.
    const history = new WireClient(server.url);
    const welcome = await history.hello({ instance: `history-${round}` });
    await history.call('join:room', { roomId: 'demo' });
    history.cut();
    await history.closed;
    const again = new WireClient(server.url);
    const resumed = await again.hello({
      instance: `history-${round}`,
      session: welcome.session,
      resume: { [TOPIC]: [epoch, 0] },
    });
    t.match(resumed, { resumed: true, topics: { [TOPIC]: { recovered: true, epoch } } });
    await again.barrier();
    const log = told(again);
    const lost = [...known].filter(([offset, text]) => log.get(offset) !== text);
    t.same(lost, [], `lost 0 of ${known.size}`);
    t.equal(new Set(log.values()).size, log.size, 'doubled 0');
    for (const client of [checker, again]) {
      client.send([Op.BYE]);
      await client.closed;
    }
  }
  await server.kill();
});

t.test('rule 6: a lock and its token survive kill -9, and the next token is greater', async (t) => {
  const path = t.testdir();
  let server = await start(t, path);
  const holder = new WireClient(server.url);
  const welcome = await holder.hello({ instance: 'holder', grace: 60_000 });
  await holder.call('join:room', { roomId: 'demo', create: true });
  const lease = await holder.call<{ token: number }>('lock:acquire', { roomId: 'demo', ttl: 60_000, msg: 'Uploading' });
  await server.kill();
  await holder.closed;

  server = await start(t, path);
  const other = new WireClient(server.url);
  await other.hello({ instance: 'other' });
  await other.call('join:room', { roomId: 'demo' });
  await t.rejects(other.call('lock:acquire', { roomId: 'demo' }), { code: 205, details: { msg: 'Uploading' } });
  const back = new WireClient(server.url);
  t.match(await back.hello({ instance: 'holder', session: welcome.session }), { resumed: true });
  t.match(await back.call('lock:release', { roomId: 'demo', token: lease.token }), { released: true });
  const next = await other.call<{ token: number }>('lock:acquire', { roomId: 'demo' });
  t.ok(next.token > lease.token);
  for (const client of [back, other]) client.cut();
  await server.kill();
});
