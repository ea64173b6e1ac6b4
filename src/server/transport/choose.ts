/** Chooses the engine: uWebSockets.js where a native build loads, else the ws package, which runs everywhere. */
import type { Transport, TransportOptions } from './transport.js';
import { loadUws } from './uws-load.js';
import { createUwsTransport } from './uws.js';
import { createWsTransport } from './ws.js';

/** Throws when no native build loads and `uws` must. */
export function checkEngine(engine: 'auto' | 'uws' | 'ws'): void {
  if (engine !== 'uws') return;
  const loaded = loadUws();
  if ('module' in loaded) return;
  throw new Error(
    `No native build of uWebSockets.js loads here (${loaded.reasons.join('; ')}). Install one for this Node and system ` +
      `(npm install uNetworking/uWebSockets.js#v20.57.0), or choose the engine "ws" or "auto".`,
  );
}

/**
 * `auto` falls back to ws and says so in one line to `log`; `uws` throws when no native build loads.
 */
export function chooseTransport(
  engine: 'auto' | 'uws' | 'ws',
  options: TransportOptions,
  log: (line: string) => void,
): Transport {
  checkEngine(engine);
  if (engine === 'ws') return createWsTransport(options);
  const loaded = loadUws();
  if ('module' in loaded) return createUwsTransport(loaded.module, options);
  const why = loaded.reasons.join('; ');
  log(`Using the slower engine "ws": no native build of uWebSockets.js loads here (${why}).`);
  return createWsTransport(options);
}
