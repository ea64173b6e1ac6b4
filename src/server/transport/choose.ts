/** Chooses the engine: uWebSockets.js where a native build loads, else the ws package, which runs everywhere. */
import type { EngineInfo } from '../../protocol/http-answers.js';
import type { Transport, TransportOptions } from './transport.js';
import { fallbackText, passedOverText, refusalText } from './uws-advice.js';
import { loadUws, type UwsBuild, type UwsLoaded } from './uws-load.js';
import { createUwsTransport } from './uws.js';
import { createWsTransport, wsEngine } from './ws.js';

let found: UwsLoaded | undefined;
/** Asked once: why a build does not load is told by a report of the whole system and by its binary, read to the end. */
const findUws = (): UwsLoaded => (found ??= loadUws());

/** What `chooseTransport` takes. */
export function engineOf(engine: 'auto' | 'uws' | 'ws'): EngineInfo {
  if (engine === 'ws') return wsEngine();
  const loaded = findUws();
  return 'module' in loaded ? loaded.info : wsEngine();
}

/** Throws when no native build loads and `uws` must. */
export function checkEngine(engine: 'auto' | 'uws' | 'ws', load = findUws): void {
  if (engine !== 'uws') return;
  const loaded = load();
  if (!('module' in loaded)) throw new Error(refusalText(loaded.failures));
}

/** The native build, where one loads. `log` gets one line where none does, or another than is to be expected. */
export function chooseBuild(loaded: UwsLoaded, log: (line: string) => void): UwsBuild | undefined {
  const native = 'module' in loaded ? loaded : undefined;
  const line = native ? passedOverText(loaded.failures, native.info) : fallbackText(loaded.failures, wsEngine());
  if (line !== undefined) log(line);
  return native;
}

/** `auto` falls back to ws, `uws` throws when no native build loads. */
export function chooseTransport(
  engine: 'auto' | 'uws' | 'ws',
  options: TransportOptions,
  log: (line: string) => void,
): Transport {
  checkEngine(engine);
  const build = engine === 'ws' ? undefined : chooseBuild(findUws(), log);
  return build === undefined ? createWsTransport(options) : createUwsTransport(build, options);
}
