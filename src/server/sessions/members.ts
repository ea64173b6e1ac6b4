/**
 * Who is in a topic, connected or not: the inverse of each session's `topics`, which are the truth. Cursors are the
 * connected part of it; the store's `subscriptions` are what a restart restores it from.
 */
interface InTopic<S> {
  readonly sessions: Set<S>;
  epoch: string | undefined;
  /** The topics of who is in this one alone: a set that they share. Made for the first. */
  alone: ReadonlySet<string> | undefined;
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

  entered(session: S, topic: string, epoch: string | undefined): void {
    let found = this.#byTopic.get(topic);
    if (found === undefined) this.#byTopic.set(topic, (found = { sessions: new Set(), epoch, alone: undefined }));
    found.epoch ??= epoch;
    found.sessions.add(session);
  }

  /** The topics of a session in this one that is in no other. */
  alone(topic: string): ReadonlySet<string> {
    const found = this.#byTopic.get(topic) as InTopic<S>;
    return (found.alone ??= new Set([topic]));
  }

  left(session: S, topic: string): void {
    const found = this.#byTopic.get(topic);
    found?.sessions.delete(session);
    if (found?.sessions.size === 0) this.#byTopic.delete(topic);
  }
}
