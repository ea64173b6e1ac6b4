/**
 * What a browser knows: the network comes and goes, and the page sleeps, is hidden and shown, or left. A
 * page that was away asks at once whether its connection still lives. Elsewhere there is none of this.
 */
import type { Connection } from './connection.js';

/** Returns how to stop. */
export function listenToPage(connection: Connection): () => void {
  const stop = new AbortController();
  const probe = (): void => connection.pulse.probe();
  const back = (): void => {
    if (document.visibilityState === 'hidden') return;
    if (connection.status === 'offline') connection.retry();
    else probe();
  };
  // It may never come back, and if it does, then too late to hold anything.
  const leave = (): void => connection.pulse.pageLeft();
  const listeners = {
    online: back,
    resume: back,
    visibilitychange: back,
    pageshow: back,
    focus: back,
    offline: probe,
    pagehide: leave,
  };
  if (typeof document !== 'undefined') {
    for (const [name, run] of Object.entries(listeners)) {
      globalThis.addEventListener(name, run, stop);
      document.addEventListener(name, run, stop);
    }
  }
  return () => stop.abort();
}
