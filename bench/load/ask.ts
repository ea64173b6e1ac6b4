/** Requests in turn: every client sends one, so many of them at a time, and each is answered by one event of its wire. */
import type { Generator, Windows } from './generator.js';
import { lapse } from './lapse.js';

/** Under way at a time: a tick has some, as on a busy server, and none waits for long. */
const UNDER_WAY = 100;

export async function askEach(
  load: Generator,
  clients: readonly number[],
  requestOf: (index: number) => Buffer,
): Promise<Windows> {
  const { subscribers, watch } = load;
  const latencies: number[] = [];
  const asked = new Map<number, number>();
  let next = 0;
  const bytes = load.wireBytes;
  const timed = lapse();
  await watch.within(
    new Promise<void>((resolve) => {
      const ask = (): void => {
        const index = clients[next++];
        if (index === undefined) return;
        asked.set(index, performance.now());
        subscribers[index]?.send(requestOf(index));
      };
      load.onEvents = (index, events) => {
        const at = asked.get(index);
        if (at === undefined || events !== 1) throw new Error('an answer came that nobody waited for');
        asked.delete(index);
        latencies.push(performance.now() - at);
        ask();
        if (latencies.length === clients.length) resolve();
      };
      for (let i = 0; i < UNDER_WAY; i++) ask();
    }),
    () => `requests with ${clients.length - latencies.length} of them unanswered`,
  );
  load.onEvents = undefined;
  return {
    windows: 1,
    deliveries: clients.length,
    ...timed(),
    latencies: Float64Array.from(latencies).sort(),
    wireBytes: (load.wireBytes - bytes) / clients.length,
  };
}
