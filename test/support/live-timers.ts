/** The timers of a server's plugins that have neither fired nor been cancelled: what waits must not outlast its reason. */
import type { PluginHost } from '../../src/server/api.js';

type Start = PluginHost['after'];

/** From now on. `each` is told how long a timer is to wait. */
export function liveTimers(server: object, each: (ms: number) => void = () => undefined): ReadonlySet<object> {
  // The server is its plugins' host.
  const host = server as { after: Start; afterAwake: Start };
  const live = new Set<object>();
  const watched =
    (start: Start): Start =>
    (ms, fn) => {
      each(ms);
      const timer = start(ms, () => {
        live.delete(own);
        fn();
      });
      const own = { cancel: () => (live.delete(own), timer.cancel()) };
      live.add(own);
      return own;
    };
  host.after = watched(host.after.bind(server));
  host.afterAwake = watched(host.afterAwake.bind(server));
  return live;
}
