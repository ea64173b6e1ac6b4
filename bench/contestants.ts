/** Who takes part: roomwire on each store, and its peers where they can run. */
import { spawnSync } from 'node:child_process';
import { loadUwsLoader } from './dist.js';

export const PEERS = ['roomwire', 'uws', 'ws', 'socket.io', 'socket.io-uws', 'nats', 'floor'] as const;
export type Peer = (typeof PEERS)[number];
export const STORES = ['memory', 'lmdb'] as const;
export type StoreName = (typeof STORES)[number];
/** Roomwire as a hub on LMDB, whose log is there: one server, or three with three replicas. */
export const LOGS = ['postgres', 'nats', 'nats-r3'] as const;
export type LogName = (typeof LOGS)[number];
/** The roomwire of another checkout, on the memory store: how it was before. */
export const BEFORE = 'before';

export interface Contestant {
  readonly peer: Peer;
  readonly store: StoreName | LogName | typeof BEFORE | 'none';
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
