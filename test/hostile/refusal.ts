/** How a client that is not who it says is answered, and a key that no server here has. */
import { Op } from '../../src/protocol/frames.js';
import type { WireClient } from '../support/wire-client.js';

export const otherSecret = 'another secret of more than thirty-two bytes';

/** How HELLO is answered: by a close. */
export async function refusal(client: WireClient, hello: object = {}) {
  await client.open();
  client.send([Op.HELLO, 1, { instance: 'test', ...hello }]);
  return client.closed;
}
