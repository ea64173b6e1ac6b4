/** Many subscriptions, on a real server: a blip loses none of them. */
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { FaultProxy } from '../chaos/fault-proxy.js';
import { random } from '../random.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

t.test(
  'a thousand topics that do not fit into HELLO are all recovered after a blip, with what was missed',
  async (t) => {
    const { server, url } = await startOpen(t);
    const proxy = await FaultProxy.start({ target: Number(new URL(url).port), random: random() });
    t.teardown(() => proxy.close());
    const roomwire = connect(`ws://127.0.0.1:${proxy.port}`, { random: () => 0, instance: 'many' });
    t.teardown(() => roomwire.close());
    const count = 950;
    const names = Array.from({ length: count }, (_, n) => `chat:${String(n).padStart(13, '0')}`);
    const heard = new Map<string, number[]>();
    const resets: string[] = [];
    const subscriptions = names.map((name) => {
      const subscription = roomwire.subscribe(name);
      subscription.on('notice', (data) => heard.set(name, [...(heard.get(name) ?? []), data as number]));
      subscription.on('reset', ({ reason }) => resets.push(reason));
      return subscription;
    });
    // Topics that a call subscribed, too.
    const kept = Array.from({ length: 40 }, (_, n) => roomwire.listen(`kept:${n}`));
    for (const topic of kept) {
      topic.on('note', (data) => heard.set(topic.topic, [...(heard.get(topic.topic) ?? []), data as number]));
      topic.on('reset', ({ reason }) => resets.push(reason));
    }
    await Promise.all(subscriptions.map(({ ready }) => ready));
    await Promise.all(kept.map((_, n) => roomwire.call('keep', { id: String(n) })));
    const say = async (n: number): Promise<void> => {
      await server.transact((tx) => {
        for (const name of names) tx.publish(name, 'notice', n);
        for (const { topic } of kept) tx.publish(topic, 'note', n);
      });
    };
    await say(1);
    const all = [...names, ...kept.map(({ topic }) => topic)];
    await until(() => all.every((name) => heard.get(name)?.length === 1));
    for (let blip = 1; blip <= 2; blip++) {
      proxy.refusing = true;
      for (const connection of proxy.connections) connection.cut('rst');
      await say(blip * 2);
      proxy.refusing = false;
      await until(() => all.every((name) => (heard.get(name)?.length ?? 0) >= blip * 2));
      await say(blip * 2 + 1);
      await until(() => all.every((name) => (heard.get(name)?.length ?? 0) >= blip * 2 + 1));
    }
    t.same(resets, []);
    t.ok(
      all.every((name) => heard.get(name)?.join() === '1,2,3,4,5'),
      'each event once, in order',
    );
  },
);
