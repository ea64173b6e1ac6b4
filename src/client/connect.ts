/** `connect`: one connection per URL and identity, shared by all who ask for it, closed by the last. */
import type { Shaped, ShapeOf } from '../protocol/shape.js';
import { Core } from './core.js';
import { settingsOf } from './settings.js';
import { SharedClient } from './shared-client.js';
import type { Client, ConnectOptions } from './types.js';

const shared = new Set<Core>();

/**
 * Connects to a roomwire server and stays connected: see `state`. A second call with the same URL,
 * token and instance shares the connection and its rooms; the first call's other options count.
 *
 * @example
 * const client = connect<Contract>('ws://127.0.0.1:8420', { token: () => fetchToken() });
 */
export function connect<C extends Shaped = Shaped>(url: string, options: ConnectOptions = {}): Client<ShapeOf<C>> {
  const settings = settingsOf(url, options);
  const core =
    [...shared].find(
      ({ settings: other, connection }) =>
        other.url === settings.url &&
        other.token === settings.token &&
        other.instance === settings.instance &&
        connection.state.get().status !== 'refused',
    ) ?? new Core(settings);
  shared.add(core);
  core.clients++;
  const client = new SharedClient(core, () => {
    if (--core.clients > 0) return;
    shared.delete(core);
    core.close();
  });
  // The names and data the contract allows are a matter of types alone.
  return client as unknown as Client<ShapeOf<C>>;
}
