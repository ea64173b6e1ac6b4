/** Nodes whose clocks are an hour apart: after a failover no lease ends early, none lasts longer, and the store's time goes on. */
import t from 'tap';
import { replicatedStore, type ReplicatedStore } from '../../src/journal/replicated.js';
import { memoryStore } from '../../src/store/memory.js';
import { ManualTime } from '../support/manual-time.js';
import { MemoryEngine } from '../support/memory-journal.js';
import { turns } from '../support/nodes.js';
import { startRooms } from '../support/rooms.js';

interface Lease {
  readonly token: number;
  readonly expiresAt: number;
}

const HOUR_MS = 3_600_000;
const TTL_MS = 30_000;
/** The bare clients answer none. */
const pingEvery = 10 * HOUR_MS;

/** Lets time pass there until it is so. */
async function passing<T>(times: readonly ManualTime[], work: Promise<T>): Promise<T> {
  let isDone = false;
  const done = work.finally(() => (isDone = true));
  done.catch(() => undefined);
  for (let i = 0; !isDone && i < 4_000; i++) {
    for (const time of times) time.advance(50);
    await turns();
  }
  return done;
}

for (const ahead of [HOUR_MS, -HOUR_MS]) {
  void t.test(`the clock of the next hub is an hour ${ahead > 0 ? 'ahead' : 'behind'}`, async (t) => {
    const engine = new MemoryEngine();
    const [timeA, timeB] = [new ManualTime(), new ManualTime()];
    timeB.jump(ahead);
    const storeOf = (node: string, time: ManualTime): ReplicatedStore =>
      replicatedStore(memoryStore(), () => engine.journal(), { node, time });
    const a = await passing([timeA], startRooms(t, { store: storeOf('a', timeA), time: timeA, pingEvery }));
    const ann = await a.client({ instance: 'ann', grace: 15_000 });
    await ann.call('join:room', { roomId: 'r', create: true });
    const { token, expiresAt } = await ann.call<Lease>('lock:acquire', { roomId: 'r', target: 'x', ttl: TTL_MS });
    const taken = timeB.monotonic();
    const storeB = storeOf('b', timeB);
    const starting = startRooms(t, { store: storeB, time: timeB, pingEvery });
    for (let i = 0; !storeB.status().view.isHeld || i < 40; i++) {
      for (const time of [timeA, timeB]) time.advance(50);
      await turns();
    }
    t.equal(storeB.role, 'standby');
    // Its machine stops, clock and all.
    const b = await passing([timeB], starting);
    const again = await b.client({ instance: 'ann', session: ann.welcome.session, grace: 15_000 });
    t.equal(again.welcome.resumed, true);
    const passed = timeB.monotonic() - taken;
    const renewed = await again.call<Lease>('lock:refresh', { roomId: 'r', target: 'x', token, ttl: TTL_MS });
    t.equal(renewed.token, token, 'the lease lasts');
    const wentOn = renewed.expiresAt - expiresAt;
    t.ok(wentOn >= 2_000 && wentOn <= passed, `the store's time went on by ${wentOn} of ${passed} ms`);
    const ben = await b.client({ instance: 'ben' });
    await ben.call('join:room', { roomId: 'r' });
    const take = (): Promise<Lease> => ben.call<Lease>('lock:acquire', { roomId: 'r', target: 'x' });
    timeB.advance(TTL_MS - 1_000);
    await again.barrier();
    await t.rejects(take(), { code: 205 }, 'a second before its end it is held');
    timeB.advance(1_500);
    await again.barrier();
    t.ok((await take()).token > token, 'and is free then, its tokens grow');
  });
}
