/** A new token before the old one expires, sent in-band with AUTH, so that nothing is interrupted. */
import * as Op from '../protocol/opcodes.js';
import { MAX_TIMEOUT_MS, MIN_RENEWAL_MS, RENEWAL_MARGIN_MS, RENEWAL_RETRY_MS } from './bounds.js';
import type { Context } from './context.js';
import { isError } from './error-kinds.js';
import { askToken } from './token.js';

export class Renewal {
  readonly #context: Context;
  #timer: unknown;

  constructor(context: Context) {
    this.#context = context;
  }

  /** `expiresAt` is store time. */
  schedule(expiresAt: number | null): void {
    this.stop();
    const { settings, connection } = this.#context;
    if (expiresAt === null || typeof settings.token !== 'function') return;
    const left = expiresAt - connection.pulse.storeNow();
    this.#in(left - Math.min(RENEWAL_MARGIN_MS, left / 10));
  }

  stop(): void {
    this.#context.settings.clock.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #in(ms: number): void {
    this.#timer = this.#context.settings.clock.setTimeout(
      () => void this.#renew(),
      Math.min(MAX_TIMEOUT_MS, Math.max(MIN_RENEWAL_MS, ms)),
    );
  }

  async #renew(): Promise<void> {
    const { settings, connection, requests } = this.#context;
    const timer = this.#timer;
    let asked = false;
    try {
      const token = await askToken(settings);
      asked = true;
      if (timer !== this.#timer) return;
      const reply = await requests.request(Op.AUTH, [token], { timeoutMs: settings.callMs });
      connection.token = token;
      if (timer === this.#timer) this.schedule((reply as { expiresAt: number | null }).expiresAt);
    } catch (error) {
      // Signed out: what the old token gives ends with it.
      if (!asked && isError(error, 'unauthenticated')) return;
      settings.report(error);
      // At the end of the old token the server closes, and the reconnect asks again.
      if (timer === this.#timer) this.#in(RENEWAL_RETRY_MS);
    }
  }
}
