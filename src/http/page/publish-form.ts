/** The form that publishes: as this tab over its socket, or as the server over HTTP. */
import type { Published } from '../../protocol/http-answers.js';
import type { Admin } from './admin.js';
import type { FreeClient } from './contract.js';
import { byId, count, onSubmit, setText } from './dom.js';
import { isolated } from './isolated.js';
import { jsonIn } from './json-field.js';
import type { Names } from './names.js';
import { textOf } from './notices.js';

export interface PublishFormOptions {
  readonly names: Names;
  /** Shows a topic. */
  readonly look: (topic: string) => void;
}

export class PublishForm {
  readonly #client: FreeClient;
  readonly #admin: Admin;
  readonly #topic = byId('publish-topic', HTMLInputElement);
  readonly #event = byId('publish-event', HTMLInputElement);
  readonly #data = byId('publish-data', HTMLTextAreaElement);
  readonly #as = byId('publish-as', HTMLSelectElement);
  readonly #result = byId('publish-result', HTMLParagraphElement);
  /** Shown once an event is in a topic: where it went can be looked at. */
  readonly #look = byId('publish-look', HTMLButtonElement);
  #published = '';

  constructor(client: FreeClient, admin: Admin, { names, look }: PublishFormOptions) {
    this.#client = client;
    this.#admin = admin;
    this.#topic.addEventListener('input', () => names.eventsOf(this.#topic.value.trim()));
    this.#look.addEventListener('click', () => look(this.#published));
    onSubmit(byId('publish-form', HTMLFormElement), () => void this.#publish());
  }

  async #publish(): Promise<void> {
    const topic = this.#topic.value.trim();
    const event = this.#event.value.trim();
    const data = jsonIn(this.#data);
    if (data === undefined) return;
    setText(this.#result, 'sending');
    this.#look.hidden = true;
    try {
      const published =
        this.#as.value === 'server'
          ? await this.#admin.ask<Published>('/api/publish', {
              method: 'POST',
              body: { topic, event, data, diagnose: true },
            })
          : await this.#client.publish(topic, event, data);
      this.#tell(published);
      this.#published = topic;
      this.#look.hidden = false;
    } catch (error) {
      this.#say(this.#adviceFor(error), true);
    }
  }

  #tell({ offset, matched, diagnosis }: Published): void {
    const similar = diagnosis?.similar ?? [];
    const nobody = `Event ${offset} reached nobody: no session was in the topic.`;
    const meant = similar.length === 0 ? '' : ` Did you mean ${similar.map(isolated).join(' or ')}?`;
    this.#say(matched === 0 ? nobody + meant : `Event ${offset}, sent to ${count(matched, 'session')}.`, matched === 0);
  }

  #adviceFor(error: unknown): string {
    if (this.#as.value === 'server' && this.#admin.rights === 'refused') return this.#admin.why;
    const text = textOf(error);
    return this.#as.value === 'me' && text.startsWith('forbidden')
      ? `${text} Only subscribers may publish what the contract lets them; as the server you may publish all.`
      : text;
  }

  #say(text: string, failed: boolean): void {
    setText(this.#result, text);
    this.#result.classList.toggle('failing', failed);
  }
}
