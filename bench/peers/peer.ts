/**
 * The server's side of the control channel (IPC): one process is one server with one topic. It
 * publishes on command, in its own process, so that fan-out alone is measured, and tells its CPU
 * time. It ends with its parent, however that ends.
 */
export interface PeerServer {
  /** Publishes `count` events in this tick. */
  publish(count: number): void | Promise<void>;
}

/** From the parent. */
export type Command = { readonly publish: number } | { readonly usage: true };
/** To the parent; `cpuMicroseconds` counts user and system time of all threads since the process began. */
export type Report = { readonly port: number } | { readonly cpuMicroseconds: number } | { readonly error: string };

/** Every peer gets the same bytes to publish. */
export const payloadOf = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0x61);

export interface PeerOptions {
  readonly bytes: number;
  /** `memory`, or a directory for the durable store. */
  readonly store: string;
}

const report = (message: Report): void => void process.send?.(message);
const failed = (error: unknown): void =>
  report({ error: error instanceof Error ? (error.stack ?? error.message) : String(error) });

/** Starts the server and serves the channel until it closes. */
export function servePeer(start: (options: PeerOptions) => Promise<PeerServer & { readonly port: number }>): void {
  // The terminal sends Ctrl-C to the whole group: the parent ends this process, after it said why.
  process.on('SIGINT', () => undefined);
  process.on('disconnect', () => process.exit());
  process.on('uncaughtException', failed);
  start(JSON.parse(process.argv[2] ?? '{}') as PeerOptions).then((server) => {
    process.on('message', (command: Command) => {
      if ('publish' in command) void Promise.resolve(server.publish(command.publish)).catch(failed);
      else {
        const { user, system } = process.cpuUsage();
        report({ cpuMicroseconds: user + system });
      }
    });
    report({ port: server.port });
  }, failed);
}
