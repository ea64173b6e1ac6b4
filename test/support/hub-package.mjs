/** `@roomwire/server` as through-edges.mjs gives it to programs: its servers' connections are held elsewhere. */
import { createServer as create } from '../../dist/index.js';
import { linkTransport, readAddress, workers } from '../../dist/link/index.js';

export * from '../../dist/index.js';

const { ROOMWIRE_TEST_LINK: at, ROOMWIRE_LINK_SECRET: secret, ROOMWIRE_EDGE: count } = process.env;

export const createServer = (options) => {
  const { engine } = options;
  const transport =
    at === undefined
      ? workers({ count: Number(count), engine })
      : linkTransport({ at: [readAddress(at)], security: { secret }, engine });
  return create({ ...options, transport });
};
