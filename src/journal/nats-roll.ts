/**
 * How the nodes of a cluster stand, in NATS: whoever wants to know calls the roll, and nodes answer. Nothing is stored, so a node
 * that is gone is not in it.
 */
import type { NatsConnection } from '@nats-io/transport-node';
import type { Announced } from './journal.js';
import type { Modules } from './nats-server.js';

/** For all answers to come. */
const LISTEN_MS = 300;

export class Roll {
  readonly #transport: Modules['transport'];
  readonly #connection: NatsConnection;
  readonly #subject: string;
  #own: { readonly node: string; readonly bytes: Uint8Array; readonly at: number } | undefined;
  #isAnswering = false;

  constructor(transport: Modules['transport'], connection: NatsConnection, subject: string) {
    this.#transport = transport;
    this.#connection = connection;
    this.#subject = subject;
  }

  announce(node: string, bytes: Uint8Array): void {
    this.#own = { node, bytes, at: performance.now() };
    if (this.#isAnswering) return;
    this.#isAnswering = true;
    // It ends with the connection.
    this.#connection.subscribe(this.#subject, {
      callback: (error, message) => {
        if (error !== null || this.#own === undefined) return;
        const { node, bytes, at } = this.#own;
        const head = this.#transport.headers();
        head.set('Roomwire-Node', Buffer.from(node).toString('base64url'));
        head.set('Roomwire-Age', String(performance.now() - at));
        message.respond(bytes, { headers: head });
      },
    });
  }

  async call(): Promise<readonly Announced[]> {
    const found = new Map<string, Announced>();
    const inbox = this.#transport.createInbox();
    const answers = this.#connection.subscribe(inbox, {
      callback: (error, { headers: head, data: bytes }) => {
        // Without it the server says that nobody listens.
        const name = head?.get('Roomwire-Node') ?? '';
        if (error !== null || name === '') return;
        const node = Buffer.from(name, 'base64url').toString();
        found.set(node, { node, bytes, ageMs: Number(head?.get('Roomwire-Age')) });
      },
    });
    this.#connection.publish(this.#subject, undefined, { reply: inbox });
    await new Promise((resolve) => setTimeout(resolve, LISTEN_MS));
    answers.unsubscribe();
    return [...found.values()].sort((a, b) => (a.node < b.node ? -1 : 1));
  }
}
