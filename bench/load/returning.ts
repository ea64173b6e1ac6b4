/** A client that comes back with its session, and counts: each event of its topic must come once, in order. */
import type { Position, SessionTicket, Welcome } from '../../src/protocol/frames.js';
import { loadCodec, loadFrames } from '../dist.js';
import { topicName } from '../peers/names.js';
import { clientMessage } from './websocket.js';
import { openWire, type Greeting, type Step, type Wire } from './wires.js';

/** Ms that sessions wait for their clients. */
const GRACE = 120_000;

const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();
const topic = topicName(0);

export interface Counts {
  recovered: number;
  refused: number;
  resets: number;
}

export class Returning {
  readonly wire: Wire;
  /** What the server said last, before it closed. */
  goaway: { readonly code: number; readonly retryAfterMs: number } | undefined;
  readonly #instance: string;
  readonly #counts: Counts;
  #session: SessionTicket | undefined;
  #position: Position = ['', 0];
  /** Events to come until it is where the others are. */
  #missing = 0;
  #recovered: () => void = () => undefined;
  #over: () => void = () => undefined;

  constructor(index: number, greeting: Greeting, counts: Counts) {
    this.#instance = `bench-${index}`;
    this.#counts = counts;
    this.wire = openWire({ ...greeting, hello: () => this.#hello() }, (payload) => this.#take(decodeAll(payload)));
  }

  /** Resolves when it is back and got the events that it missed, or cannot; calls `recovered` in the first case. */
  return(missed: number, recovered: () => void): Promise<void> {
    this.#missing = missed;
    this.#recovered = recovered;
    return new Promise((resolve) => (this.#over = resolve));
  }

  #hello(): readonly Step[] {
    const session = this.#session;
    const send = clientMessage(
      encode([
        Op.HELLO,
        1,
        {
          instance: this.#instance,
          grace: GRACE,
          ...(session === undefined ? {} : { session, resume: { [topic]: this.#position } }),
        },
      ]),
    );
    const welcomed: Step = {
      send,
      answered: (payload) => {
        const [[opcode, , welcome] = [], ...rest] = decodeAll(payload);
        if (opcode !== Op.WELCOME) throw new Error(`the server answered HELLO with opcode ${JSON.stringify(opcode)}`);
        this.#welcomed(welcome as unknown as Welcome, session !== undefined);
        this.#take(rest);
        return true;
      },
    };
    if (session !== undefined) return [welcomed];
    const subscribed: Step = {
      send: clientMessage(encode([Op.SUBSCRIBE, 2, topic, null])),
      answered: (payload) => {
        const [[opcode, , data] = []] = decodeAll(payload);
        if (opcode !== Op.ACK) throw new Error(`the server answered SUBSCRIBE with opcode ${JSON.stringify(opcode)}`);
        const { epoch, offset } = data as { readonly epoch: string; readonly offset: number };
        this.#position = [epoch, offset];
        return true;
      },
    };
    return [welcomed, subscribed];
  }

  #welcomed({ session, resumed, topics }: Welcome, returning: boolean): void {
    this.#session = session;
    this.goaway = undefined;
    if (!returning) return;
    const status = topics[topic];
    if (resumed && status?.recovered === true) {
      if (status.epoch !== this.#position[0] || status.offset !== this.#position[1]) {
        throw new Error('the server went on from another position');
      }
      if (this.#missing === 0) this.#caughtUp();
      return;
    }
    if (status === undefined || status.code !== undefined) throw new Error('a client is not in its topic any more');
    this.#position = [status.epoch, status.offset];
    this.#counts.refused++;
    this.#done();
  }

  /** How many events they hold. */
  #take(frames: ReturnType<typeof decodeAll>): number {
    let events = 0;
    for (const [opcode, name, ...rest] of frames) {
      if (opcode === Op.RESET) {
        this.#position = [rest[0] as string, rest[1] as number];
        this.#counts.resets++;
        this.#done();
        continue;
      }
      if (opcode === Op.GOAWAY) {
        this.goaway = { code: name as unknown as number, retryAfterMs: rest[1] as number };
        continue;
      }
      if (opcode !== Op.EVENTS || name !== topic) throw new Error(`the server sent opcode ${JSON.stringify(opcode)}`);
      const [first, ...items] = rest;
      const [epoch, offset] = this.#position;
      if (first !== offset + 1) throw new Error(`event ${JSON.stringify(first)} came after ${offset}`);
      this.#position = [epoch, offset + items.length];
      events += items.length;
      if (this.#missing === 0) continue;
      this.#missing -= items.length;
      if (this.#missing < 0) throw new Error('more events came than were published');
      if (this.#missing === 0) this.#caughtUp();
    }
    return events;
  }

  #caughtUp(): void {
    this.#counts.recovered++;
    this.#recovered();
    this.#done();
  }

  #done(): void {
    this.#missing = 0;
    this.#over();
  }
}
