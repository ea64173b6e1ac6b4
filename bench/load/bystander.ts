/**
 * One client that makes calls in a closed loop while others storm the server: in a thread of its
 * own, so that it waits for the server and not for this process, which has the storm's clients to
 * serve. (They share a core: what the scheduler takes is in its figures.)
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { quantile } from '../result.js';
import { Callers } from './caller.js';
import { echoOf } from './requests.js';

const BYTES = 64;

interface Target {
  readonly port: number;
  readonly token: string | undefined;
}

/** Of its calls. */
export interface Seen {
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

export class Bystander {
  readonly #worker: Worker;
  /** Rejects when it failed. */
  readonly #failure: Promise<never>;

  /** Connected; with that token, where one is needed. */
  static async start(port: number, token?: string): Promise<Bystander> {
    const bystander = new Bystander({ port, token });
    await bystander.#heard();
    return bystander;
  }

  private constructor(target: Target) {
    this.#worker = new Worker(new URL(import.meta.url), { workerData: target });
    this.#failure = once(this.#worker, 'error').then(([error]) => {
      throw error as Error;
    });
    this.#failure.catch(() => undefined);
  }

  /** Calls from now on. */
  begin(): void {
    this.#worker.postMessage('begin');
  }

  /** Stops, and tells how it went. */
  async end(): Promise<Seen> {
    const heard = this.#heard();
    this.#worker.postMessage('end');
    return (await heard) as Seen;
  }

  async close(): Promise<void> {
    await this.#worker.terminate();
  }

  #heard(): Promise<unknown> {
    return Promise.race([once(this.#worker, 'message').then(([message]) => message as unknown), this.#failure]);
  }
}

/** The thread. */
async function standBy({ port, token }: Target): Promise<void> {
  if (parentPort === null) return;
  const echo = await echoOf('roomwire', BYTES);
  const exchange = token === undefined ? echo : { ...echo, wire: { ...echo.wire, path: `/?token=${token}` } };
  const callers = new Callers({ port, failure: new Promise(() => undefined), send: () => undefined });
  await callers.connect(1, () => exchange);
  parentPort.postMessage('ready');
  for (;;) {
    await once(parentPort, 'message');
    const { deliveries, latencies } = await callers.until(once(parentPort, 'message'));
    const seen: Seen = {
      calls: deliveries,
      p50Ms: quantile(latencies, 0.5),
      p99Ms: quantile(latencies, 0.99),
      longestMs: latencies.at(-1) ?? 0,
    };
    parentPort.postMessage(seen);
  }
}

if (!isMainThread) await standBy(workerData as Target);
