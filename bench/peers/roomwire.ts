/** This server through its public API: `publish` of every event, and all their promises. */
import * as v from 'valibot';
import { loadContract, loadLmdb, loadServer } from '../dist.js';
import { event, topic } from './names.js';
import { payloadOf, servePeer } from './peer.js';

const { createServer } = await loadServer();
const { defineContract } = await loadContract();

servePeer(async ({ bytes, store }) => {
  const contract = defineContract({ topics: { 'bench:{id}': { events: { tick: v.unknown() } } } });
  const server = createServer({
    contract,
    engine: 'auto',
    store: store === 'memory' ? undefined : (await loadLmdb()).lmdbStore({ path: store }),
    // The subscribers only count: they would not answer a PING.
    pingEvery: 3_600_000,
  });
  const { port } = await server.listen({ port: 0 });
  const payload = payloadOf(bytes);
  return {
    port,
    async publish(count) {
      const published = new Array<Promise<unknown>>(count);
      for (let i = 0; i < count; i++) published[i] = server.publish(topic, event, payload);
      await Promise.all(published);
    },
  };
});
