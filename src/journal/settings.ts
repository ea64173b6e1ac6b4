/** What a node of a cluster is told, with its defaults. */
import { randomBytes } from 'node:crypto';
import type { Time } from './lease.js';

export interface ReplicatedOptions {
  /** Names this node among the others. */
  readonly node: string;
  /** Ms for which a hub answers reads without asking the log. A standby takes over after a third more. Default 1,500. */
  readonly leaseMs?: number;
  /** Where edges dial this node while it is the hub. Default: nowhere. */
  readonly link?: string;
  /** The same for all nodes of a cluster: another's is refused. */
  readonly check?: string;
  /** Of contract, policy and limits: another's is warned of. */
  readonly digest?: () => string;
  /** Takes a line for the operator. */
  readonly tell?: (line: string) => void;
  /** For tests. */
  readonly time?: Time;
  /** Bytes of the log after which a snapshot is taken. Default 64 MiB. */
  readonly snapshotBytes?: number;
}

export type Settled = Required<ReplicatedOptions> & { readonly run: string };

const systemTime: Time = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  every(ms, fn) {
    const timer = setInterval(fn, ms);
    return () => clearInterval(timer);
  },
};

export function settle(options: ReplicatedOptions): Settled {
  return {
    leaseMs: 1_500,
    link: '',
    check: '',
    digest: () => '',
    tell: () => undefined,
    time: systemTime,
    snapshotBytes: 64 * 1024 * 1024,
    run: randomBytes(9).toString('base64url'),
    ...options,
  };
}
