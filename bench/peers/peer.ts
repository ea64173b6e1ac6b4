/**
 * The server's side of the control channel (IPC): one process is one server. It publishes on
 * command, in its own process, so that fan-out alone is measured, and tells its CPU time and its
 * memory. It ends with its parent, however that ends.
 */
import { drawing } from './names.js';

export interface PeerServer {
  readonly port: number;
  /** One event of `PeerOptions.bytes` to the topic of that index. */
  publish(topic: number): unknown;
  /** Of a server that is not this process. */
  usage?(): Usage;
  /** CPU time of the processes that hold its connections, microseconds. */
  edgeCpu?(): number;
  /** Since it was asked last. */
  answered?(): Answered | undefined;
}

/** Inside the server: ms from when a request of the bystander's was read to when its answer was written. */
export interface Answered {
  readonly p50Ms: number;
  readonly p99Ms: number;
}

export interface PublishOrder {
  /** How many events. */
  readonly publish: number;
  /** Indexes: every event goes to each of these; default the first topic. */
  readonly topics?: readonly number[];
  /** Every event goes to one of so many topics instead, at random (the same order in every process). */
  readonly random?: number;
  /** Each event in a tick of its own, the next one when the last is on its way. */
  readonly apart?: boolean;
}
/** From the parent. */
export type Command = PublishOrder | { readonly usage: true; readonly collect: boolean };

/** CPU: user and system time of all threads since the process began. Memory: bytes, after a collection if that was asked for and the process can. */
export interface Usage {
  readonly cpuMicroseconds: number;
  readonly rss: number;
  readonly heap: number;
  /** Of the processes that hold its connections; what is above is without them. */
  readonly edgeMicroseconds?: number | undefined;
  /** Since the last time this was told; undefined: nobody asked anything, or it is not measured. */
  readonly answered?: Answered | undefined;
}
/** To the parent. */
export type Report = { readonly port: number } | Usage | { readonly error: string };

/** Every peer gets the same bytes to publish. */
export const payloadOf = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x61);

export interface PeerOptions {
  readonly bytes: number;
  /** `memory`, or a directory for the durable store. */
  readonly store: string;
  /** For attacks: default rates, and tokens signed with this; else neither. */
  readonly secret?: string | undefined;
  /** Processes that hold its connections; of roomwire alone. Default: it does so itself. */
  readonly edges?: number | undefined;
  /** The log that it is the hub of, or a node; of roomwire alone. */
  readonly log?: Log | undefined;
}

export interface Log {
  readonly url: string;
  readonly name: string;
  /** One of several nodes; undefined: a hub without any other. */
  readonly node?: NodePlace;
}

export interface NodePlace {
  readonly name: string;
  /** For clients, and for the other nodes. */
  readonly port: number;
  readonly linkPort: number;
  /** It begins as the hub, and is there when it is. */
  readonly isFirst: boolean;
}

const report = (message: Report): void => void process.send?.(message);
const failed = (error: unknown): void =>
  report({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });

/** Starts the server and serves the channel until it closes. */
export function servePeer(start: (options: PeerOptions) => Promise<PeerServer>): void {
  // The terminal sends Ctrl-C to the whole group: the parent ends this process, after it said why.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('uncaughtException', failed);
  start(JSON.parse(process.argv[2] ?? '{}') as PeerOptions).then((server) => {
    process.on('message', (command: Command) => {
      if ('publish' in command) void carryOut(server, command).catch(failed);
      else {
        const usage = server.usage?.() ?? ownUsage(command.collect);
        report({ ...usage, edgeMicroseconds: server.edgeCpu?.(), answered: server.answered?.() });
      }
    });
    report({ port: server.port });
  }, failed);
}

const draw = drawing();

async function carryOut(server: PeerServer, order: PublishOrder): Promise<void> {
  const { publish: count, topics = [0], random, apart = false } = order;
  const published: unknown[] = [];
  for (let i = 0; i < count; i++) {
    if (random !== undefined) published.push(server.publish(draw(random)));
    else for (const topic of topics) published.push(server.publish(topic));
    if (!apart) continue;
    await Promise.all(published.splice(0));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await Promise.all(published);
}

let collecting = 0;

function ownUsage(collect: boolean): Usage {
  // The collection is for the memory's figures; its own CPU time is nobody's.
  const before = process.cpuUsage();
  if (collect) globalThis.gc?.();
  const { user, system } = process.cpuUsage();
  collecting += user + system - before.user - before.system;
  const { rss, heapUsed, external } = process.memoryUsage();
  return { cpuMicroseconds: user + system - collecting, rss, heap: heapUsed + external };
}
