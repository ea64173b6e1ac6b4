/**
 * Locks: n sessions, each in a room of its own, take and release a lock there in a closed loop.
 * Rate, CPU and latency are those of a pair: from the send of acquire to the answer of release. Each
 * half is told to the room by an event, which must have come, too. The same pairs warm the server up.
 */
import { among, compete, fits, type Suite } from '../contest.js';
import { loadCodec, loadFrames } from '../dist.js';
import { Callers, type Exchange } from '../load/caller.js';
import { join, roomId } from '../load/requests.js';
import { clientMessage } from '../load/websocket.js';
import { openWire, roomwireGreeting, type Client } from '../load/wires.js';
import type { Row } from '../result.js';

const CLIENTS = 100;
const TARGET = 'bench';
const ACQUIRE = 3;
const RELEASE = 4;

export async function locks(suite: Suite): Promise<Row[]> {
  const n = Math.min(CLIENTS, suite.clients);
  if (!fits(suite, 'locks', n)) return [];
  return compete(suite, {
    work: 'locks',
    contestants: among(suite, ['roomwire']),
    bytes: 0,
    label: `locks n=${n}`,
    seconds: 1.25 * suite.seconds + suite.warmSeconds,
    async turn({ server, warmUp, timeOnce, sample }) {
      const lockers = await Promise.all(Array.from({ length: n }, (_, i) => Locker.make(i)));
      const callers = new Callers(server);
      try {
        await callers.connect(n, (i) => (lockers[i] as Locker).exchange);
        await warmUp(() => callers.run(suite.seconds / 4));
        const timed = await timeOnce(() => callers.run(suite.seconds));
        // What was told of the last pair may come after its answer.
        await server.rest();
        for (const locker of lockers) locker.check();
        sample({ work: 'locks', n, w: 1, bytes: 0 }, timed);
      } finally {
        callers.close();
      }
    },
  });
}

const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();

class Locker {
  readonly exchange: Exchange;
  readonly #room: string;
  #token = 0;
  #pairs = 0;
  #told = 0;

  static async make(room: number): Promise<Locker> {
    return new Locker(room, await roomwireGreeting([join(room)]));
  }

  private constructor(room: number, greeting: Awaited<ReturnType<typeof roomwireGreeting>>) {
    this.#room = roomId(room);
    const request = clientMessage(
      encode([Op.CALL, ACQUIRE, 'lock:acquire', { roomId: this.#room, target: TARGET, ttl: 60_000 }]),
    );
    this.exchange = { request, wire: openWire(greeting, (payload, client) => this.#take(payload, client)) };
  }

  check(): void {
    if (this.#told !== 2 * this.#pairs) {
      throw new Error(`${this.#pairs} pairs were told by ${this.#told} events instead of ${2 * this.#pairs}`);
    }
  }

  /** Of a message: how many pairs it ends. */
  #take(payload: Buffer, client: Client): number {
    let ended = 0;
    for (const [opcode, id, data, ...rest] of decodeAll(payload)) {
      // [EVENTS, topic, offset, ...items]
      if (opcode === Op.EVENTS) this.#told += rest.length;
      else if (opcode === Op.ACK && id === ACQUIRE) this.#release(data, client);
      else if (opcode === Op.ACK && id === RELEASE) ended++;
      else
        throw new Error(
          `the server answered with opcode ${JSON.stringify(opcode)}: ${JSON.stringify([data, ...rest])}`,
        );
    }
    this.#pairs += ended;
    return ended;
  }

  #release(lease: unknown, client: Client): void {
    const { token } = lease as { readonly token: number };
    if (token <= this.#token) throw new Error('a lock was given twice');
    this.#token = token;
    client.send(
      clientMessage(encode([Op.CALL, RELEASE, 'lock:release', { roomId: this.#room, target: TARGET, token }])),
    );
  }
}
