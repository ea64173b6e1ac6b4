import t from 'tap';
import { memoryStore } from '../../src/store/memory.js';
import { StoreError, type Store } from '../../src/store/store.js';
import { startOpen } from '../support/open-server.js';
import { until } from '../support/until.js';

void t.test('what a store has to confirm is read by nobody before, and a batch that writes needs none', async (t) => {
  let isAsked = false;
  let asked = 0;
  let confirm = (): void => undefined;
  const store: Store = {
    ...memoryStore(),
    confirm: () => {
      if (!isAsked) return undefined;
      asked++;
      return new Promise((resolve) => (confirm = resolve));
    },
  };
  const { server } = await startOpen(t, { store });
  isAsked = true;
  await server.transact((tx) => tx.nextVersion());
  t.equal(asked, 0);
  let read = false;
  const reading = server.transact((tx) => tx.position('chat:a')).then(() => (read = true));
  await until(() => asked === 1);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(read, false);
  confirm();
  await reading;
});

void t.test(
  'a store that another took over answers no read: the server is deposed before anyone is refused',
  async (t) => {
    const order: string[] = [];
    let isOver = false;
    const store: Store = {
      ...memoryStore(),
      confirm: () => (isOver ? Promise.reject(new StoreError('unusable', 'another server took over')) : undefined),
    };
    const { server } = await startOpen(t, { store, deposed: ({ message }) => void order.push(message) });
    isOver = true;
    await server
      .transact((tx) => tx.position('chat:a'))
      .catch(({ code }: { readonly code: number }) => order.push(`refused ${code}`));
    t.match(order, ['another server took over', /^refused \d+$/]);
  },
);
