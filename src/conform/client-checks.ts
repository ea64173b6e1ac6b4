/** The checks of a client: what the scripted server plays at it, and what the client must do then. */
import { callScenes } from './call-scenes.js';
import { closeScenes } from './close-scenes.js';
import { listScenes } from './list-scenes.js';
import { lockScenes } from './lock-scenes.js';
import type { Check } from './report.js';
import { roomScenes } from './room-scenes.js';
import { Script } from './script.js';
import { sessionScenes } from './session-scenes.js';
import { silenceScenes } from './silence-scenes.js';
import { Mismatch } from './wire.js';

/** As long as for anything else it may take so often to start the driver. */
const START_TIMES = 5;

export interface ClientChecks {
  /** The program that drives the client, and its arguments; a new one for each check. */
  readonly driver: readonly string[];
  readonly timeoutMs: number;
  /** What stands between client and script; returns its address. */
  readonly through?: (url: string) => Promise<string>;
}

export function clientChecks({ driver, timeoutMs, through = (url) => Promise.resolve(url) }: ClientChecks): Check[] {
  const scenes = { ...sessionScenes, ...callScenes, ...closeScenes, ...roomScenes, ...lockScenes, ...listScenes };
  // Those that wait go last.
  return Object.entries({ ...scenes, ...silenceScenes }).map(([id, { title, rules, connect, random, play }]) => ({
    id,
    title,
    rules,
    run: async () => {
      const script = new Script(driver, timeoutMs);
      try {
        const url = await through(await script.server.listen());
        const starts = START_TIMES * timeoutMs;
        if (random !== undefined) await script.done('random', { value: random }, starts);
        // So short that no check waits for it, where it is not about that.
        await script.done('connect', { url, token: 'token-1', backoffMs: 10, ...connect }, starts);
        await play(script);
      } catch (error) {
        if (error instanceof Mismatch) error.bytes ??= script.last;
        throw error;
      } finally {
        script.end();
      }
    },
  }));
}
