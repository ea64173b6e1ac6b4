/** A new token before the old one expires, sent in-band with AUTH, so that nothing is interrupted. */
import * as Op from '../protocol/opcodes.js';
import type { Context } from './context.js';

/** Renewed this long before the end, or at nine tenths of a short life. */
const MARGIN_MS = 30_000;
const RETRY_MS = 5_000;
/** A token that is always about to expire is not asked for all the time. */
const MIN_MS = 1_000;

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
    const left = expiresAt - connection.storeNow();
    this.#in(left - Math.min(MARGIN_MS, left / 10));
  }

  stop(): void {
    this.#context.settings.timers.clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #in(ms: number): void {
    this.#timer = this.#context.settings.timers.setTimeout(() => void this.#renew(), Math.max(MIN_MS, ms));
  }

  async #renew(): Promise<void> {
    const { settings, connection, requests } = this.#context;
    const timer = this.#timer;
    try {
      const token = await (settings.token as () => string | Promise<string>)();
      if (timer !== this.#timer) return;
      const reply = await requests.request(Op.AUTH, [token], { timeoutMs: settings.callTimeoutMs });
      connection.token = token;
      if (timer === this.#timer) this.schedule((reply as { expiresAt: number | null }).expiresAt);
    } catch (error) {
      settings.report(error);
      // At the end of the old token the server closes, and the reconnect asks again.
      if (timer === this.#timer) this.#in(RETRY_MS);
    }
  }
}
