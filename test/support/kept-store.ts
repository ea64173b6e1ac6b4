/** A store in memory that outlives its closings, as one on a disk does, for a node that is started anew on what it had. */
import { memoryStore } from '../../src/store/memory.js';
import type { OpenedStore, Store } from '../../src/store/store.js';

export function keptStore(): Store {
  const inner = memoryStore();
  let opened: OpenedStore | undefined;
  let batches = 0;
  return {
    ...inner,
    name: 'kept',
    durable: true,
    open: () => (opened ??= inner.open() as OpenedStore),
    async commit(batch) {
      // Whoever opens it anew counts batches anew.
      await inner.commit({ ...batch, id: ++batches });
      opened = { ...(opened as OpenedStore), meta: batch.meta };
    },
  };
}
