/**
 * Writes a history: what clients ask for and are answered, and what they are told of topics. Bounded: what is too much
 * is a finding.
 */
import { WebSocket } from 'ws';
import {
  connect,
  type CallOptions,
  type Client,
  type ConnectOptions,
  type Published,
  type Room,
  type Subscription,
} from '../../src/client/node.js';
import { errors } from '../../src/protocol/codes.js';
import { textOf, type Answer, type Ask, type At, type Entry } from './history.js';

/** Some 200 bytes each. */
const MAX_ENTRIES = 2_000_000;

type Publishing = { readonly topic: string } & Pick<Room, 'publish'>;

export class Recorder {
  readonly history: Entry[] = [];
  /** Operations asked for, and events heard, so far. */
  asked = 0;
  heard = 0;
  readonly #clients = new Set<Client>();
  readonly #limit: number;
  #isOver = false;

  constructor(limit = MAX_ENTRIES) {
    this.#limit = limit;
  }

  note<E extends Entry>(entry: E): E {
    if (this.#isOver) return entry;
    if (this.history.length < this.#limit) this.history.push(entry);
    else if (this.history.length === this.#limit) this.history.push({ kind: 'problem', text: 'the history is full' });
    return entry;
  }

  problem(text: string): void {
    this.note({ kind: 'problem', text });
  }

  // ---- what is asked ---------------------------------------------------------------------------------------------

  ask(ask: Omit<Ask, 'kind' | 'op'>): number {
    const op = ++this.asked;
    this.note({ kind: 'ask', op, ...ask });
    return op;
  }

  answer(op: number, answer: Omit<Answer, 'kind' | 'op'>): void {
    this.note({ kind: 'answer', op, ...answer });
  }

  /** An operation from its question to its answer; `say` is what the reply says. Rejects as `run` does. */
  async observe<T>(
    ask: Omit<Ask, 'kind' | 'op'>,
    run: (op: number) => Promise<T>,
    say: (reply: T) => Omit<Answer, 'kind' | 'op'>,
  ): Promise<T> {
    const op = this.ask(ask);
    try {
      const reply = await run(op);
      this.answer(op, say(reply));
      return reply;
    } catch (error) {
      this.answer(op, { code: codeOf(error) });
      throw error;
    }
  }

  publish(who: string, stream: Publishing, event: string, data: unknown, options?: CallOptions): Promise<Published> {
    return this.observe(
      { who, call: 'publish', of: stream.topic, text: textOf(event, data) },
      () => stream.publish(event, data, options),
      ({ epoch, offset }) => ({ at: [epoch, offset] }),
    );
  }

  // ---- what is told ----------------------------------------------------------------------------------------------

  /** `stream`: whose position names the epoch, where `heard` has none; `listening`: whether it still counts. */
  hear(
    who: string,
    heard: Subscription | Room,
    { stream = heard as Subscription, listening = () => true, moved = () => undefined }: HearOptions = {},
  ): void {
    const { topic } = heard;
    heard.on('*', (data: unknown, { event, from: by, offset }) => {
      // Volatile values have no place in the log.
      if (!listening() || offset === null) return;
      const at: At = [stream.position?.[0] as string, offset];
      this.heard++;
      this.note({ kind: 'event', who, topic, at, by, text: textOf(event, data) });
      moved(at);
    });
    heard.on('reset', ({ position: at }) => {
      if (!listening()) return;
      this.note({ kind: 'reset', who, topic, at });
      moved(at);
    });
    heard.on('removed', ({ code }) => {
      if (listening()) this.note({ kind: 'end', who, topic, code });
    });
  }

  // ---- who asks and is told --------------------------------------------------------------------------------------

  /** A client that comes back fast, whose errors and refusals are problems. */
  connect(who: string, url: string, options: ConnectOptions): Client {
    const client: Client = connect(url, {
      WebSocket,
      backoff: { baseMs: 5, maxMs: 100 },
      onError: (error) => this.problem(`${who}: ${String(error)}`),
      ...options,
    });
    this.#clients.add(client);
    client.state.subscribe(({ status, reason }) => {
      if (status === 'live') this.note({ kind: 'live', who });
      if (status === 'refused') this.problem(`${who} was refused for good: ${reason?.code} ${reason?.message}`);
    });
    return client;
  }

  close(client: Client): void {
    this.#clients.delete(client);
    client.close();
  }

  /** The end: what comes of it is not written down. */
  closeAll(): void {
    this.#isOver = true;
    for (const client of this.#clients) this.close(client);
  }
}

interface HearOptions {
  readonly stream?: Pick<Subscription, 'position'>;
  readonly listening?: () => boolean;
  readonly moved?: (at: At) => void;
}

/** Of what is no answer of roomwire's, nobody knows what became of it. */
export function codeOf(error: unknown): number {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'number' ? code : errors.disconnected;
}
