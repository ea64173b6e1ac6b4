/** The log in a real NATS JetStream keeps what every engine must. */
import { jetstreamManager } from '@nats-io/jetstream';
import { connect, headers } from '@nats-io/transport-node';
import { jetstream } from '@nats-io/jetstream';
import t from 'tap';
import { hashOf, type Journal } from '../../src/journal/journal.js';
import { natsJournal } from '../../src/journal/nats.js';
import { noNats, startNats, type Nats } from '../support/nats.js';
import { until } from '../support/until.js';
import { journalConformance, type Bench, type Test } from './conformance.js';
import { startProxy, type Proxy } from './proxy.js';
import { kind } from './reading.js';

let logs = 0;

/** The handle reaches its engine again. */
async function back(journal: Journal): Promise<void> {
  let isBack = false;
  const ask = async (): Promise<void> => {
    while (!isBack) {
      isBack = (await kind(journal.answers())) !== 'refused';
      if (!isBack) await new Promise((resolve) => setTimeout(resolve, 20));
    }
  };
  void ask();
  await until(() => isBack, 'a handle is connected again');
}

/** A log of its own, and every handle through a proxy of its own. */
async function bench(t: Test, servers: readonly Nats[]): Promise<Bench> {
  const name = `log_${++logs}`;
  const port = servers[0]?.port as number;
  const spare = await Promise.all(Array.from({ length: 8 }, () => startProxy(port)));
  const nc = await connect({ servers: `127.0.0.1:${port}` });
  t.teardown(async () => {
    spare.forEach((proxy) => proxy.close());
    await nc.close();
  });
  const jsm = await jetstreamManager(nc, { checkAPI: false });
  const js = jetstream(nc);
  const proxies = new Map<Journal, Proxy>();
  const head = async (): Promise<number> => (await jsm.streams.info(name)).state.last_seq;
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  /** Makes the stream anew with some of its messages: a stream never gives a number twice. */
  const restore = async (keep: number, others: number): Promise<void> => {
    const { config } = await jsm.streams.info(name);
    unseen();
    const kept = await Promise.all(
      Array.from({ length: keep }, (_, i) => jsm.streams.getMessage(name, { seq: i + 1 })),
    );
    await jsm.streams.delete(name);
    await jsm.streams.add(config);
    let prev = '';
    for (const message of kept) {
      const sent = headers();
      for (const key of ['Nats-Msg-Id', 'Roomwire-Prev', 'Roomwire-Hash'])
        sent.set(key, message?.header.get(key) ?? '');
      prev = message?.header.get('Roomwire-Hash') ?? '';
      await js.publish(`${name}.log`, message?.data, { headers: sent });
    }
    for (let seq = keep + 1; seq <= keep + others; seq++) {
      const record = { seq, id: `other-${seq}`, prev: Buffer.from(prev, 'hex'), bytes: Buffer.from('other') };
      const sent = headers();
      sent.set('Nats-Msg-Id', record.id);
      sent.set('Roomwire-Prev', prev);
      sent.set('Roomwire-Hash', (prev = hex(hashOf(record))));
      await js.publish(`${name}.log`, record.bytes, { headers: sent });
    }
    await seen();
  };
  /** nats-server 2.9 can crash when it is asked for a stream that is being deleted. */
  const unseen = (): void => spare.forEach((proxy) => proxy.cut());
  const seen = async (): Promise<void> => {
    for (const proxy of spare) proxy.heal();
    await Promise.all([...proxies.keys()].map(back));
  };
  const open = (): Journal => {
    const proxy = spare[proxies.size % spare.length] as Proxy;
    const journal = natsJournal(`nats://127.0.0.1:${proxy.port}`, { name, pollMs: 5 });
    t.teardown(() => journal.close());
    proxies.set(journal, proxy);
    return journal;
  };
  return {
    journal: open,
    async fill() {
      const { state } = await jsm.streams.info(name);
      await jsm.streams.update(name, { max_bytes: state.bytes });
      return async () => void (await jsm.streams.update(name, { max_bytes: -1 }));
    },
    loseEnd: async (count) => restore((await head()) - count, 0),
    rewriteEnd: async (count) => restore((await head()) - count, count),
    async replace() {
      unseen();
      await jsm.streams.delete(name);
      spare.forEach((proxy) => proxy.heal());
      await open().open();
      await seen();
    },
    loseReply: (journal) => {
      (proxies.get(journal) as Proxy).losing = 'Nats-Expected-Last-Sequence';
    },
    coarse: 0,
  };
}

t.test('NATS, one server', { skip: noNats }, async (t) => {
  const servers = await startNats(t);
  journalConformance('NATS', (t) => bench(t, servers), { t: t as Test });
});

t.test('NATS, three servers', { skip: noNats }, async (t) => {
  const servers = await startNats(t, 3);
  journalConformance('NATS, three replicas', (t) => bench(t, servers), { t: t as Test, races: 100 });
});
