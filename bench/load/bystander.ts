/**
 * One client that makes calls, or hears its own events, in a closed loop while others storm the server: in a thread of its
 * own, so that it waits for the server and not for this process, which has the storm's clients to
 * serve. (They share a core: what the scheduler takes is in its figures.)
 */
import { once } from 'node:events';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { quantile, type Sample } from '../result.js';
import { Callers, type Exchange } from './caller.js';
import { echoOf, roomOf } from './requests.js';

interface Asking {
  /** Where one is needed. */
  readonly token?: string;
  /** An echo (default), or an event of its own to publish, which it hears. */
  readonly asks?: 'call' | 'event';
  /** Of its payload. Default 64. */
  readonly bytes?: number;
}

interface Target extends Asking {
  readonly port: number;
}

/** Of its calls. */
export interface Seen {
  readonly calls: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly longestMs: number;
}

/** Of a stretch of so many seconds. */
export function sampleOfSeen({ calls, p50Ms, p99Ms }: Seen, seconds: number): Sample {
  return {
    perSecond: calls / seconds,
    cpuNanoseconds: null,
    p50Ms,
    p99Ms,
    windows: calls,
    deliveries: calls,
    wireBytes: null,
    load: null,
  };
}

export class Bystander {
  readonly #worker: Worker;
  /** Rejects when it failed. */
  readonly #failure: Promise<never>;

  /** Connected. */
  static async start(port: number, asking: Asking): Promise<Bystander> {
    const bystander = new Bystander({ ...asking, port });
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
async function standBy({ port, token, asks = 'call', bytes = 64 }: Target): Promise<void> {
  if (parentPort === null) return;
  const { wire, request } = asks === 'call' ? await echoOf('roomwire', bytes) : await ownEventOf(bytes);
  const exchange = { request, wire: token === undefined ? wire : { ...wire, path: `/?token=${token}` } };
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

async function ownEventOf(bytes: number): Promise<Exchange> {
  const { wire, publication } = await roomOf('roomwire', bytes, 0);
  return { wire, request: publication };
}

if (!isMainThread) await standBy(workerData as Target);
