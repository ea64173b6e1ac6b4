/** `@roomwire/server` as through-edges.mjs gives it to programs: their servers' connections are held elsewhere, or they are nodes of a cluster. */
import { createServer as create } from '../../dist/index.js';

export * from '../../dist/index.js';

const {
  ROOMWIRE_TEST_LINK: at,
  ROOMWIRE_LINK_SECRET: secret,
  ROOMWIRE_EDGE: count,
  ROOMWIRE_TEST_CLUSTER: journal,
  ROOMWIRE_TEST_ADVERTISE: advertise,
} = process.env;

export const createServer = (options) => create({ ...options, ...more(options) });

const { cluster } = journal === undefined ? {} : await import('../../dist/cluster/index.js');
const { linkTransport, readAddress, workers } = await import('../../dist/link/index.js');

function more({ engine }) {
  if (journal !== undefined) {
    const node = cluster({
      journal,
      advertise,
      engine,
      secret: 'the secret of the examples, 32 characters',
      leaseMs: 600,
    });
    return { cluster: node, deposed: () => process.exit(75) };
  }
  return {
    transport:
      at === undefined
        ? workers({ count: Number(count), engine })
        : linkTransport({ at: [readAddress(at)], security: { secret }, engine }),
  };
}
