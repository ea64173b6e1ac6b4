/** Chooses the engine: uWebSockets.js where a native build loads, else the ws package, which runs everywhere. */
import type { EngineInfo } from '../../protocol/http-answers.js';
import type { Transport, TransportOptions } from './transport.js';
import { fallbackText, passedOverText, refusalText } from './uws-advice.js';
import { loadUws } from './uws-load.js';
import { createUwsTransport } from './uws.js';
import { createWsTransport, wsEngine } from './ws.js';

/** What `chooseTransport` takes. */
export function engineOf(engine: 'auto' | 'uws' | 'ws'): EngineInfo {
  if (engine === 'ws') return wsEngine();
  const loaded = loadUws();
  return 'module' in loaded ? loaded.info : wsEngine();
}

/** Throws when no native build loads and `uws` must. */
export function checkEngine(engine: 'auto' | 'uws' | 'ws'): void {
  if (engine !== 'uws') return;
  const loaded = loadUws();
  if (!('module' in loaded)) throw new Error(refusalText(loaded.failures));
}

/**
 * `auto` falls back to ws, `uws` throws when no native build loads. `log` gets one line where another engine or build is
 * taken than is to be expected.
 */
export function chooseTransport(
  engine: 'auto' | 'uws' | 'ws',
  options: TransportOptions,
  log: (line: string) => void,
): Transport {
  checkEngine(engine);
  if (engine === 'ws') return createWsTransport(options);
  const loaded = loadUws();
  if ('module' in loaded) {
    const passedOver = passedOverText(loaded.failures, loaded.info);
    if (passedOver !== undefined) log(passedOver);
    return createUwsTransport(loaded, options);
  }
  log(fallbackText(loaded.failures, wsEngine()));
  return createWsTransport(options);
}
