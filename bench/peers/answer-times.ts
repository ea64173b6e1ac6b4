/**
 * How long the bystander's requests take inside the server: from when the engine has read one to when the answer is
 * written. Taken at the seam between engine and server, so the product has nothing of it, and what caller and attacker
 * wait for each other, who share a core, is in none of it. The bystander shows a token in its URL; nobody else does.
 */
import type { Transport, TransportOptions } from '../../src/server/transport/transport.js';
import { loadChoose } from '../dist.js';
import { Latencies } from '../load/latencies.js';
import { quantile } from '../result.js';
import type { Answered } from './peer.js';

type Choose = Awaited<ReturnType<typeof loadChoose>>['chooseTransport'];

export class AnswerTimes {
  readonly #choose: Choose;
  #latencies = new Latencies();
  /** When the request under way was read; undefined: none is. */
  #read: number | undefined;

  static async load(): Promise<AnswerTimes> {
    return new AnswerTimes((await loadChoose()).chooseTransport);
  }

  private constructor(choose: Choose) {
    this.#choose = choose;
  }

  readonly transport = (options: TransportOptions): Transport =>
    this.#choose('auto', { ...options, open: (...opened) => this.#open(options, opened) }, (line) =>
      console.error(line),
    );

  #open(options: TransportOptions, [socket, info]: Parameters<TransportOptions['open']>) {
    if (!info.query.startsWith('token=')) return options.open(socket, info);
    const send = socket.send.bind(socket);
    socket.send = (bytes) => {
      const result = send(bytes);
      if (this.#read !== undefined) this.#latencies.add(performance.now() - this.#read);
      this.#read = undefined;
      return result;
    };
    const events = options.open(socket, info);
    const message = events.message.bind(events);
    events.message = (...read) => {
      this.#read = performance.now();
      message(...read);
    };
    return events;
  }

  /** Since the last time. */
  take(): Answered | undefined {
    const sorted = this.#latencies.sorted();
    this.#latencies = new Latencies();
    return sorted.length === 0 ? undefined : { p50Ms: quantile(sorted, 0.5), p99Ms: quantile(sorted, 0.99) };
  }
}
