/**
 * How much of rooms one asker may read a second: lists, searches and pages of members cost by what the server looks at for
 * them. The backend with its API key and the program have no such rate.
 */
import type { PluginHost } from '../server/api.js';
import type { Asker } from './holder.js';

/** Rooms and members a second of one user, or of all guests at one address; twice as many may come at once. */
const PER_SECOND = 10_000;

export class Reads {
  readonly #rate: (key: string, weight: number) => void;

  constructor(host: PluginHost) {
    this.#rate = host.rate(PER_SECOND);
  }

  /** Counts what was looked at, or will be. Throws too_many when there was too much before. */
  count(asker: Asker, looked: number): void {
    if (asker === undefined || asker.kind === 'key') return;
    this.#rate(asker.keyOwner ?? `user ${asker.user.id}`, looked);
  }
}
