/** What a session is, after its server was killed: test/durability does the same with traffic. */
import t from 'tap';
import type { Position } from '../../src/protocol/frames.js';
import { startChildServer } from '../support/child-server.js';
import { WireClient } from '../support/wire-client.js';

t.test(
  'rule 3: sessions, topics, keys and secrets survive kill -9, and a resume goes on where it was',
  { timeout: 60_000 },
  async (t) => {
    const path = t.testdir();
    let server = await startChildServer(t, path);
    const first = new WireClient(server.url);
    const { session } = await first.hello();
    await first.call('keep', { id: '1' });
    const { epoch } = await first.subscribe('chat:1');
    const keyed = await first.publish('chat:1', 'message', 1, 'key');
    await first.publish('chat:1', 'message', 2);
    const hanging = first.call('hang', 'half done', { key: 'interrupted' }).catch(() => 'disconnected');
    await first.barrier();
    await first.event('chat:1', 'message', 2);
    const second = new WireClient(server.url);
    const rotated = await second.hello({ session });
    t.equal(rotated.resumed, true);
    // Commits one after the other: when this is answered, the rotation is in the store.
    await second.call('keep', { id: '1' });
    await second.call('keep', { id: '1' });
    await server.kill();
    await hanging;
    server = await startChildServer(t, path);
    const resume: Record<string, Position> = { 'chat:1': [epoch, 1], 'kept:1': [epoch, 0] };
    const thief = new WireClient(server.url);
    t.equal((await thief.hello({ session })).resumed, false, 'a secret that died stays dead');
    thief.cut();
    const back = new WireClient(server.url);
    t.teardown(() => back.cut());
    const welcome = await back.hello({ session: rotated.session, resume });
    t.equal(welcome.resumed, true);
    t.strictSame(welcome.topics['chat:1'], { epoch, offset: 1, recovered: true });
    t.equal(welcome.topics['kept:1']?.code, undefined);
    await back.event('chat:1', 'message');
    t.strictSame(
      back.events('chat:1').map(([offset, , data]) => [offset, data]),
      [[2, 2]],
    );
    t.strictSame(await back.publish('chat:1', 'message', 1, 'key'), keyed, 'a keyed publish stays done');
    await t.rejects(back.publish('chat:1', 'message', 'other', 'key'), { code: 111 });
    await t.rejects(back.call('hang', 'half done', { key: 'interrupted' }), { code: 112 });
    t.equal((await back.publish('chat:1', 'message', 3)).offset, 3);
  },
);
