/** Somebody who does nothing wrong while others do: in the end all must still work for them, and the log be clean. */
import type { startServer, Test } from '../support/server.js';
import type { WireClient } from '../support/wire-client.js';

type Started = Pick<Awaited<ReturnType<typeof startServer>>, 'log' | 'server' | 'client'>;
interface Asserts extends Test {
  ok(value: unknown, message: string): unknown;
  strictSame(found: unknown, wanted: unknown, message: string): unknown;
}

export async function bystander(t: Asserts, s: Started, hello: object = {}) {
  const client = await s.client({ instance: 'bystander', ...hello });
  const [sid] = client.welcome.session;
  return Object.assign(client as WireClient & { welcome: typeof client.welcome }, {
    /** Fails the test unless the connection, the session and the log are as they should be. */
    async undisturbed(): Promise<void> {
      await client.barrier();
      t.ok(s.server.session(sid)?.connected, 'the bystander is connected');
      t.strictSame(s.log.errors, [], 'the server logged no error');
    },
  });
}
