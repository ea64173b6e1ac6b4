/** Who takes part: roomwire on each store, and its peers where they can run. */
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadCodec, loadUwsLoader } from './dist.js';
import { event, topicName } from './peers/names.js';
import { payloadOf } from './peers/peer.js';
import { floorWire, natsWire, plainWire, roomwireWire, socketIoWire, uwsWire, type Wire } from './load/wires.js';

export const PEERS = ['roomwire', 'uws', 'ws', 'socket.io', 'socket.io-uws', 'nats', 'floor'] as const;
export type Peer = (typeof PEERS)[number];
export const STORES = ['memory', 'lmdb'] as const;
export type StoreName = (typeof STORES)[number];
/** The roomwire of another checkout, on the memory store: how it was before. */
export const BEFORE = 'before';

export interface Contestant {
  readonly peer: Peer;
  readonly store: StoreName | typeof BEFORE | 'none';
}

export const keyOf = ({ peer, store }: Contestant): string => (store === 'none' ? peer : `${peer}/${store}`);

/** Roomwire once per store, and as it was before where that is asked; every other peer once. */
export function contestantsOf(peers: readonly Peer[], stores: readonly (StoreName | typeof BEFORE)[]): Contestant[] {
  return peers.flatMap((peer): Contestant[] =>
    peer === 'roomwire' ? stores.map((store) => ({ peer, store })) : [{ peer, store: 'none' }],
  );
}

/** The peers that run on this machine; says which do not, and why. */
export async function able(peers: readonly Peer[], say: (line: string) => void): Promise<readonly Peer[]> {
  const { loadUws } = await loadUwsLoader();
  const native = 'module' in loadUws();
  const missing: Partial<Record<Peer, string>> = {
    ...(native ? {} : { uws: noNative, 'socket.io-uws': noNative }),
    ...(runs('nats-server', ['--version']) ? {} : { nats: 'no nats-server (Debian: apt-get install nats-server)' }),
    ...(runs('cc', ['--version']) ? {} : { floor: 'no C compiler (cc)' }),
  };
  return peers.filter((peer) => {
    const reason = missing[peer];
    if (reason !== undefined) say(`SKIPPED ${peer}: ${reason}`);
    return reason === undefined;
  });
}
const noNative = 'no native build of uWebSockets.js loads here; roomwire runs on its portable engine';

function runs(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: 'ignore' }).status === 0;
}

/** What a subscriber of that peer says to be in those topics. ws and the floor have only one. */
export async function wireOf(peer: Peer, bytes: number, topics: readonly number[] = [0]): Promise<Wire> {
  switch (peer) {
    case 'roomwire':
      return roomwireWire(bytes, topics);
    case 'uws':
      return uwsWire(bytes, topics);
    case 'ws':
      return plainWire(bytes);
    case 'socket.io':
    case 'socket.io-uws':
      return socketIoWire(bytes, topics);
    case 'nats':
      return natsWire(bytes, topics);
    case 'floor':
      return floorWire(bytes);
  }
}

/** The command line of a peer's server. */
export async function commandOf(
  peer: Peer,
  options: { readonly bytes: number },
  flags: readonly string[],
): Promise<string[]> {
  if (peer !== 'floor') {
    const script = fileURLToPath(new URL(`./peers/${peer}.js`, import.meta.url));
    return [process.execPath, ...flags, script, JSON.stringify(options)];
  }
  const { encode } = await loadCodec();
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return [floorProgram(), hex(encode(topicName(0))), hex(encode([event, payloadOf(options.bytes), null]))];
}

let floor: string | undefined;
/** Compiles the floor once, into a folder that goes with this process. */
function floorProgram(): string {
  if (floor !== undefined) return floor;
  const directory = mkdtempSync(join(tmpdir(), 'roomwire-bench-floor-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'floor');
  // The sources are beside dist-bench/, which holds only what Node runs.
  const source = fileURLToPath(new URL('../bench/peers/floor.c', import.meta.url));
  execFileSync('cc', ['-O2', '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  return (floor = program);
}
