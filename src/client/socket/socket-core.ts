/**
 * The connection of a socket: it hears every topic that the session is in, whoever put it there, and hands over the
 * server's calls. WELCOME and SUBSCRIBED say which topics these are, REMOVED when one is over.
 */
import type { Positions, Value, Welcome } from '../../protocol/frames.js';
import * as Op from '../../protocol/opcodes.js';
import { Core } from '../core.js';
import type { Settings } from '../settings.js';
import type { EventInfo } from '../types.js';

export interface Hearer {
  onEvent(data: Value, info: EventInfo): void;
  /** What happened to a topic. */
  lost(what: 'roomwire:reset' | 'roomwire:removed', told: object): void;
  /** The server asks and waits for the answer. */
  asked(name: string, input: Value, signal: AbortSignal): unknown;
  /** Whether every topic goes on where it was. */
  recovered(all: boolean): void;
}

export class SocketCore extends Core {
  readonly #hearer: Hearer;
  readonly #heard = new Set<string>();

  constructor(settings: Settings, hearer: Hearer) {
    super(settings);
    this.#hearer = hearer;
  }

  override welcome(welcome: Welcome, resumed: Positions): void {
    const topics = Object.entries(welcome.topics);
    this.#hearer.recovered(welcome.resumed && topics.every(([, { recovered }]) => recovered));
    for (const [topic, { code }] of topics) if (code === undefined) this.#hear(topic);
    super.welcome(welcome, resumed);
  }

  override onFrame(frame: Value[]): boolean {
    const [op, topic, name] = frame as [number, string, string];
    if (op === Op.SUBSCRIBED) this.#hear(topic);
    if (op !== Op.CALL) return super.onFrame(frame);
    const done = this.handlers.handle(name, (input, { signal }) => this.#hearer.asked(name, input, signal));
    super.onFrame(frame);
    // It is looked up at once.
    done();
    return false;
  }

  #hear(topic: string): void {
    if (this.#heard.has(topic)) return;
    this.#heard.add(topic);
    const hearer = this.#hearer;
    const unlisten = this.streams.hear(topic, {
      onEvent: (data, info) => hearer.onEvent(data, info),
      reset: (reset) => hearer.lost('roomwire:reset', { topic, ...reset }),
      removed: ({ code, message }) => {
        this.#heard.delete(topic);
        unlisten();
        hearer.lost('roomwire:removed', { topic, code, reason: message });
      },
    });
  }
}
