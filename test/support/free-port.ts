/** A port on loopback that is free now, for those who cannot let the server take port 0. */
import { randomInt } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';

/**
 * Below those that the system gives to outgoing connections: one of them could take it before the server does, or while it
 * is away, even to connect to itself. Not from a run's seed: two programs with one seed would take the same.
 */
export async function freePort(): Promise<number> {
  for (;;) {
    // Above 10,080, which browsers and `fetch` refuse.
    const port = randomInt(10_100, 32_000);
    const probe = createServer();
    const free = await new Promise<boolean>((resolve) => {
      probe.once('error', () => resolve(false));
      probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => resolve(true));
    });
    if (!free) continue;
    probe.close();
    await once(probe, 'close');
    return port;
  }
}
