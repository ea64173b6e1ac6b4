import t from 'tap';
import { errors } from '../../src/protocol/codes.js';
import { RoomwireError } from '../../src/protocol/errors.js';
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

void t.test('a hub that was cut off refused a holder its own lock: what is refused is confirmed first', async (t) => {
  let isAsked = false;
  let confirm: (() => void) | undefined;
  const store: Store = {
    ...memoryStore(),
    confirm: () => (isAsked ? new Promise((resolve) => (confirm = resolve)) : undefined),
  };
  const { server } = await startOpen(t, { store });
  const order: string[] = [];
  const lost = (): never => {
    throw new RoomwireError('lock_lost');
  };
  const refusing = (): Promise<unknown> =>
    server.transact(lost).catch(({ code }: RoomwireError) => order.push(`refused ${code}`));
  isAsked = true;
  const refused = refusing();
  await until(() => confirm !== undefined);
  await new Promise((resolve) => setImmediate(resolve));
  t.strictSame(order, []);
  confirm?.();
  await refused;
  t.strictSame(order, ['refused 125']);
  // With a batch that writes, its commit confirms.
  confirm = undefined;
  await Promise.all([server.transact((tx) => tx.nextVersion()).then(() => order.push('written')), refusing()]);
  t.strictSame(order.slice(1), ['written', 'refused 125']);
  t.equal(confirm, undefined);
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
    const told = ({ code }: { readonly code: number }): number => order.push(`refused ${code}`);
    const refused = (): never => {
      throw new RoomwireError('lock_lost');
    };
    await Promise.all([
      server.transact((tx) => tx.position('chat:a')).catch(told),
      server.transact(refused).catch(told),
    ]);
    const unavailable = `refused ${errors.store_unavailable}`;
    t.strictSame(order, ['another server took over', unavailable, unavailable]);
  },
);
