/** Stored events that cannot be read: who follows the topic is told of a gap, who asks for them that the store is unavailable. */
import t from 'tap';
import { http } from '../../src/http/http.js';
import { memoryStore } from '../../src/store/memory.js';
import { readEvents } from '../support/event-reader.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

t.test('stored events that are damaged are told as a gap or refused, and the server goes on', async (t) => {
  const store = memoryStore();
  const read = store.read.bind(store);
  // 0xc1 is never used in MessagePack.
  store.read = async (...asked) => (await read(...asked)).map((chunk) => ({ ...chunk, frame: Buffer.from([0xc1]) }));
  const s = await startOpen(t, { plugins: [http()], store, ringBytes: 1 });
  for (let i = 1; i <= 3; i++) await s.server.publish('chat:1', 'notice', 'x'.repeat(200_000));
  const epoch = (await s.server.inspect('chat:1')).epoch ?? '';
  const events = `${s.http}/api/topics/chat%3A1/events`;
  const reader = await readEvents(t, `${events}?live=sse`, { 'last-event-id': `${epoch}:0` });
  await until(() => reader.own('$reset').length > 0);
  t.equal(reader.lastEventId, `${epoch}:3`);
  for (const query of ['?after=0', `?live=poll&after=0`]) {
    const { status } = await fetch(`${events}${query}`);
    t.equal(status, 503, query);
  }
  t.equal((await fetch(`${s.http}/health/ready`)).status, 200);
  t.equal(reader.ended, undefined);
});
