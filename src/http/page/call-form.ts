/** The form that makes any call over this tab's socket and shows the reply. */
import type { FreeClient } from './contract.js';
import { byId, onSubmit, setText } from './dom.js';
import { jsonIn } from './json-field.js';
import { textOf } from './notices.js';
import { jsonText } from './tap.js';

export class CallForm {
  readonly #client: FreeClient;
  readonly #name = byId('call-name', HTMLInputElement);
  readonly #input = byId('call-input', HTMLTextAreaElement);
  readonly #result = byId('call-result', HTMLParagraphElement);
  readonly #reply = byId('call-reply', HTMLPreElement);

  constructor(client: FreeClient) {
    this.#client = client;
    onSubmit(byId('call-form', HTMLFormElement), () => void this.#call());
  }

  async #call(): Promise<void> {
    const input = jsonIn(this.#input);
    if (input === undefined) return;
    setText(this.#result, 'calling');
    this.#reply.hidden = true;
    const since = performance.now();
    const took = (): string => `${(performance.now() - since).toFixed(1)} ms`;
    try {
      const reply: unknown = await this.#client.call(this.#name.value.trim(), input);
      this.#say(`Answered after ${took()}.`, reply);
    } catch (error) {
      const { code, details } = error as { readonly code?: number; readonly details?: unknown };
      this.#say(`Refused after ${took()}: ${code ?? ''} ${textOf(error)}`, details, true);
    }
  }

  #say(text: string, reply: unknown, failed = false): void {
    setText(this.#result, text);
    this.#result.classList.toggle('failing', failed);
    this.#reply.hidden = reply === undefined;
    setText(this.#reply, reply === undefined ? '' : jsonText(reply, 2));
  }
}
