/** Clients that publish one event after the other by calls, whatever node they reach, and note when each was acknowledged. */
import { loadCodec, loadFrames } from '../dist.js';
import { Redial } from './redial.js';
import type { Subscriber } from './subscriber.js';
import { clientMessage } from './websocket.js';
import { openWire, roomwireGreeting } from './wires.js';

const COUNT = 20;
/** Between an answer and the next publish. */
const PAUSE_MS = 20;
const ID = 2;

export class Publishers {
  readonly #redials: Redial[] = [];
  readonly #acks: number[] = [];
  readonly #waiting = new Map<number, () => void>();

  static async start(ports: readonly number[]): Promise<Publishers> {
    const { encode, decodeAll } = await loadCodec();
    const { Op } = await loadFrames();
    const request = clientMessage(encode([Op.CALL, ID, 'publish', 'x']));
    const greeting = await roomwireGreeting([]);
    const publishers = new Publishers();
    for (let i = 0; i < COUNT; i++) {
      let current: Subscriber | undefined;
      let goaway: { readonly code: number; readonly retryAfterMs: number } | undefined;
      const wire = openWire(greeting, (payload) => {
        for (const [opcode, a, , b] of decodeAll(payload)) {
          if (opcode === Op.GOAWAY) goaway = { code: a as number, retryAfterMs: b as number };
          if (opcode === Op.ACK) publishers.#acknowledged(i);
          if (opcode !== Op.ACK && opcode !== Op.NACK) continue;
          const asked = current;
          setTimeout(() => asked === current && asked?.send(request), PAUSE_MS);
        }
        return 0;
      });
      const redial = new Redial({
        ...{ ports, first: i, wire, goaway: () => goaway },
        ready: (subscriber) => {
          goaway = undefined;
          current = subscriber;
          subscriber.send(request);
        },
      });
      publishers.#redials.push(redial);
    }
    return publishers;
  }

  #acknowledged(index: number): void {
    this.#acks.push(performance.now());
    this.#waiting.get(index)?.();
    this.#waiting.delete(index);
  }

  /** Resolves when each of them has had an answer from now on. */
  async under(): Promise<void> {
    await Promise.all(
      this.#redials.map((_, index) => new Promise<void>((resolve) => this.#waiting.set(index, resolve))),
    );
  }

  /** Ms between two acknowledgements, of those after `began`: where one hub follows another, no other is as long. */
  longestGap(began: number): number {
    let before = Math.max(...this.#acks.filter((at) => at <= began));
    let longest = 0;
    for (const at of this.#acks.filter((at) => at > began)) {
      longest = Math.max(longest, at - before);
      before = at;
    }
    return longest;
  }

  close(): void {
    for (const redial of this.#redials) redial.close();
  }
}
