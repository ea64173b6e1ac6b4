/** The names that fields propose: the contract's events and calls, and the topics there are, for an administrator. */
import type { ContractShown, TopicList } from '../../protocol/http-answers.js';
import { topicPattern } from '../../protocol/pattern.js';
import type { Admin } from './admin.js';
import { byId, h } from './dom.js';

export class Names {
  readonly #admin: Admin;
  #contract: ContractShown | undefined;

  constructor(admin: Admin) {
    this.#admin = admin;
  }

  /** Asks anew which topics there are. */
  async refresh(): Promise<void> {
    if (this.#admin.rights === 'refused') return;
    try {
      const { topics } = await this.#admin.ask<TopicList>('/api/topics?limit=500');
      propose(
        'topic-names',
        topics.map(({ topic }) => topic),
      );
      if (this.#contract !== undefined) return;
      this.#contract = await this.#admin.ask<ContractShown>('/api/contract');
      propose('call-names', this.#contract.calls);
    } catch {
      // The fields take any name without proposals, too.
    }
  }

  /** Proposes the events of the topic's pattern. */
  eventsOf(topic: string): void {
    const found = this.#contract?.topics.find(({ pattern }) => topicPattern(pattern).match(topic) !== undefined);
    propose('event-names', found?.events.map(({ event }) => event) ?? []);
  }
}

function propose(list: string, names: readonly string[]): void {
  byId(list, HTMLDataListElement).replaceChildren(...names.map((name) => h('option', { value: name })));
}
