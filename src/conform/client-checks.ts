/** The checks of a client: what the scripted server plays at it, and what the client must do then. */
import type { Check } from './report.js';
import { roomScenes } from './room-scenes.js';
import { Script } from './script.js';
import { sessionScenes } from './session-scenes.js';
import { Mismatch } from './wire.js';

export interface ClientChecks {
  /** The program that drives the client, and its arguments; a new one for each check. */
  readonly driver: readonly string[];
  readonly timeoutMs: number;
  /** What stands between client and script; returns its address. */
  readonly through?: (url: string) => Promise<string>;
}

export function clientChecks({ driver, timeoutMs, through = (url) => Promise.resolve(url) }: ClientChecks): Check[] {
  return Object.entries({ ...sessionScenes, ...roomScenes }).map(([id, { title, rules, play }]) => ({
    id,
    title,
    rules,
    run: async () => {
      const script = new Script(driver, timeoutMs);
      try {
        const url = await through(await script.listen());
        // So short that no check waits for it; whether waits are as RW-CLO-4 has them shows in no single one.
        await script.done('connect', { url, token: 'token-1', backoffMs: 10 });
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
