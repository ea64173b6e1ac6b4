/** How far the members of the open room are behind, asked for once a second where this page may ask. */
import type { TopicReport } from '../../protocol/http-answers.js';
import { topicPath, type Admin } from './admin.js';
import { Poll } from './poll.js';

export class MemberLag {
  readonly #admin: Admin;
  readonly #changed: () => void;
  readonly #poll = new Poll(() => this.#ask());
  #topic: string | undefined;
  #lags = new Map<string, number>();

  constructor(admin: Admin, changed: () => void) {
    this.#admin = admin;
    this.#changed = changed;
    admin.subscribe(() => this.#poll.now());
  }

  open(topic: string): void {
    this.close();
    this.#topic = topic;
    this.#poll.start();
  }

  close(): void {
    this.#poll.stop();
    this.#topic = undefined;
    this.#lags.clear();
  }

  /** Events that the furthest behind of the user's sessions still needs. */
  of(userId: string): number {
    return this.#lags.get(userId) ?? 0;
  }

  async #ask(): Promise<void> {
    const topic = this.#topic;
    if (topic === undefined || this.#admin.rights === 'refused') return;
    const { subscribers } = await this.#admin.ask<TopicReport>(topicPath(topic));
    if (topic !== this.#topic) return;
    const lags = new Map<string, number>();
    for (const { user, lag } of subscribers) if (lag > 0) lags.set(user, Math.max(lag, lags.get(user) ?? 0));
    const same = lags.size === this.#lags.size && [...lags].every(([user, lag]) => this.#lags.get(user) === lag);
    this.#lags = lags;
    if (!same) this.#changed();
  }
}
