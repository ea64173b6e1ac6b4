/**
 * Rooms in which one member publishes and all of them, itself too, are to hear it: with some events
 * under way always (`saturate`), or by the clock (`pace`). There an event's time counts from when it
 * was due, not from when it was sent, so that a stall of the server or of this process counts for
 * all that it held up. Every peer keeps one connection's order: the k-th delivery is of the k-th event.
 */
import type { Generator, Windows } from './generator.js';
import { lapse } from './lapse.js';
import { Latencies } from './latencies.js';
import { quantile } from '../result.js';
import type { Wire } from './wires.js';

export interface Room {
  readonly wire: Wire;
  /** The message by which its first member publishes an event. */
  readonly publication: Buffer;
}

/** What is written late in one go, at most: what has arrived is to be read in between. */
const AT_ONCE = 64;

export class Speakers {
  readonly #load: Generator;
  readonly #rooms: readonly Room[];
  readonly #members: number;
  /** Of each room: when its events of this run were due, and how many have not heard each. */
  readonly #due: number[][];
  readonly #left: number[][];
  /** Of each member: how many of them it has heard. */
  readonly #heard: Uint32Array;
  #latencies = new Latencies();
  #sentLate = new Latencies();
  #published = 0;
  /** Heard by all. */
  #complete = 0;
  #deliveries = 0;
  #turn: (now: number) => void = () => undefined;

  constructor(load: Generator, rooms: readonly Room[], members: number) {
    this.#load = load;
    this.#rooms = rooms;
    this.#members = members;
    this.#due = rooms.map(() => []);
    this.#left = rooms.map(() => []);
    this.#heard = new Uint32Array(rooms.length * members);
  }

  async connect(): Promise<void> {
    await this.#load.connect(this.#heard.length, (index) => (this.#rooms[this.#roomOf(index)] as Room).wire);
  }

  /** For so many seconds so many events under way: when one has been heard by its whole room the next one leaves. */
  async saturate(underWay: number, seconds: number): Promise<Windows> {
    const end = performance.now() + seconds * 1000;
    return this.#run((now) => {
      // One at least, however long this process was kept waiting.
      const isOn = (): boolean => now < end || this.#published === 0;
      while (isOn() && this.#published - this.#complete < underWay) this.#publish(now, now);
      return now < end;
    });
  }

  /**
   * For so many seconds so many events a second, evenly. Timers have milliseconds, so this asks the
   * clock at every turn of the loop; `load` is the share of the time that had something to do.
   */
  async pace(perSecond: number, seconds: number): Promise<Windows> {
    const start = performance.now();
    const end = start + seconds * 1000;
    let due = start;
    const heard = this.#run((now) => {
      for (let i = 0; i < AT_ONCE && due <= now && due < end; i++) {
        this.#publish(due, now);
        due = start + (this.#published * 1000) / perSecond;
      }
      return due < end;
    });
    let last = start;
    let idle = 0;
    let seen = -1;
    const spin = (): void => {
      const now = performance.now();
      const did = this.#published + this.#deliveries;
      if (did === seen) idle += now - last;
      seen = did;
      last = now;
      this.#turn(now);
      if (now < end) setImmediate(spin);
    };
    spin();
    return { ...(await heard), load: 1 - idle / (last - start) };
  }

  /** Until `publish` has nothing more to publish, and everything was heard by all. */
  async #run(publish: (now: number) => boolean): Promise<Windows> {
    const { watch } = this.#load;
    for (const list of [...this.#due, ...this.#left]) list.length = 0;
    this.#heard.fill(0);
    this.#latencies = new Latencies();
    this.#sentLate = new Latencies();
    this.#published = this.#complete = this.#deliveries = 0;
    const bytes = this.#load.wireBytes;
    const timed = lapse();
    const over = new Promise<void>((resolve) => {
      this.#turn = (now) => {
        if (!publish(now) && this.#complete === this.#published) resolve();
      };
    });
    this.#load.onEvents = (index, events) => {
      const now = performance.now();
      this.#hear(index, events, now);
      this.#turn(now);
    };
    this.#turn(performance.now());
    await watch.within(over, () => `events with ${this.#published - this.#complete} of them not heard by all`);
    this.#load.onEvents = undefined;
    const latencies = this.#latencies.sorted();
    return {
      windows: this.#published,
      deliveries: this.#deliveries,
      ...timed(),
      latencies,
      wireBytes: (this.#load.wireBytes - bytes) / this.#deliveries,
      more: {
        p999Ms: quantile(latencies, 0.999),
        maxMs: this.#latencies.max,
        sentLateP99Ms: quantile(this.#sentLate.sorted(), 0.99),
      },
    };
  }

  /** To one room after the other. */
  #publish(due: number, now: number): void {
    const room = this.#published++ % this.#rooms.length;
    this.#due[room]?.push(due);
    this.#left[room]?.push(this.#members);
    this.#sentLate.add(now - due);
    this.#load.subscribers[room * this.#members]?.send((this.#rooms[room] as Room).publication);
  }

  #hear(index: number, events: number, now: number): void {
    const room = this.#roomOf(index);
    const due = this.#due[room] as number[];
    const left = this.#left[room] as number[];
    for (let i = 0; i < events; i++) {
      const event = this.#heard[index] as number;
      const at = due[event];
      if (at === undefined) throw new Error('an event came that nobody published');
      this.#heard[index] = event + 1;
      this.#latencies.add(now - at);
      if (--(left[event] as number) === 0) this.#complete++;
    }
    this.#deliveries += events;
  }

  #roomOf(index: number): number {
    return Math.floor(index / this.#members);
  }
}
