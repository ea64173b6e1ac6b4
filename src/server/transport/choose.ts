/** Chooses the engine: uWebSockets.js where a native build loads, else the ws package, which runs everywhere. */
import type { Transport, TransportOptions } from './transport.js';
import { loadUws } from './uws-load.js';
import { createUwsTransport } from './uws.js';
import { createWsTransport } from './ws.js';

/**
 * `auto` falls back to ws and says so in one line to `log`; `uws` throws when no native build loads.
 */
export function chooseTransport(
  engine: 'auto' | 'uws' | 'ws',
  options: TransportOptions,
  log: (line: string) => void,
): Transport {
  if (engine === 'ws') return createWsTransport(options);
  const loaded = loadUws();
  if ('module' in loaded) return createUwsTransport(loaded.module, options);
  const why = loaded.reasons.join('; ');
  if (engine === 'uws') {
    throw new Error(
      `No native build of uWebSockets.js loads here (${why}). Install one for this Node and system ` +
        `(npm install uNetworking/uWebSockets.js#v20.57.0), or choose the engine "ws" or "auto".`,
    );
  }
  log(`Using the slower engine "ws": no native build of uWebSockets.js loads here (${why}).`);
  return createWsTransport(options);
}
