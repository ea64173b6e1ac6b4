/**
 * Who is in a topic, connected or not: the inverse of each session's `topics`, which are the truth. Cursors are the
 * connected part of it; the store's `subscriptions` are what a restart restores it from.
 */
interface InTopic<S> {
  readonly sessions: Set<S>;
  epoch: string | undefined;
  /** The topics of who is in this one alone: a set that they share. */
  readonly alone: ReadonlySet<string>;
}

export class Members<S> {
  readonly #byTopic = new Map<string, InTopic<S>>();

  in(topic: string): readonly S[] {
    return [...(this.#byTopic.get(topic)?.sessions ?? [])];
  }

  /** The epoch that was told to those who are in the topic. */
  epochOf(topic: string): string | undefined {
    return this.#byTopic.get(topic)?.epoch;
  }

  /** Returns the topics of one that is in no other. */
  entered(session: S, topic: string, epoch: string | undefined): ReadonlySet<string> {
    let found = this.#byTopic.get(topic);
    if (found === undefined)
      this.#byTopic.set(topic, (found = { sessions: new Set(), epoch, alone: new Set([topic]) }));
    found.epoch ??= epoch;
    found.sessions.add(session);
    return found.alone;
  }

  left(session: S, topic: string): void {
    const found = this.#byTopic.get(topic);
    found?.sessions.delete(session);
    if (found?.sessions.size === 0) this.#byTopic.delete(topic);
  }
}
