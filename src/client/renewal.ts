/** A new token before the old one expires, sent in-band with AUTH, so that nothing is interrupted. */
import * as Op from '../protocol/opcodes.js';
import { MIN_RENEWAL_MS, RENEWAL_MARGIN_MS, RENEWAL_RETRY_MS } from './bounds.js';
import type { Alarm } from './clock.js';
import type { Context } from './context.js';
import { isError } from './error-kinds.js';
import { askToken } from './token.js';

export class Renewal {
  readonly #context: Context;
  readonly #alarm: Alarm;
  /** Grows with each renewal that is planned or called off, so that what an older one asked for is not heard. */
  #turn = 0;

  constructor(context: Context) {
    this.#context = context;
    this.#alarm = context.settings.clock.alarm();
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
    this.#turn++;
    this.#alarm();
  }

  #in(ms: number): void {
    this.#alarm(Math.max(MIN_RENEWAL_MS, ms), () => void this.#renew());
  }

  async #renew(): Promise<void> {
    const { settings, connection, requests } = this.#context;
    const turn = this.#turn;
    let asked = false;
    try {
      const token = await askToken(settings);
      asked = true;
      if (turn !== this.#turn) return;
      const reply = await requests.request(Op.AUTH, [token], { timeoutMs: settings.callMs });
      connection.token = token;
      if (turn === this.#turn) this.schedule((reply as { expiresAt: number | null }).expiresAt);
    } catch (error) {
      // Signed out: what the old token gives ends with it.
      if (!asked && isError(error, 'unauthenticated')) return;
      settings.report(error);
      // At the end of the old token the server closes, and the reconnect asks again.
      if (turn === this.#turn) this.#in(RENEWAL_RETRY_MS);
    }
  }
}
