/** `serve --cluster`: what makes the server a node, and how a node ends. Who calls it: serve.ts; its parent: supervise.ts. */
import { writeSync } from 'node:fs';
import type { Cluster } from '../server/server.js';
import type { StoreError } from '../store/store.js';
import { CommandError } from './args.js';
import type { Config } from './config.js';
import { linkSecurity } from './link-flags.js';
import { NODE_ENV } from './supervise.js';

/** At once: nothing is to be said or done any more. */
export function endAs(code: number, why: string): never {
  writeSync(2, `${why}\n`);
  process.exit(code);
}

/** The log is not what this node knew: it has said so there, and begins anew. */
export function isBroken(error: StoreError): boolean {
  return 'reason' in error;
}

/** A node's part in a cluster. Undefined for the usual case, which loads none of it. */
export async function clusterOf(config: Config): Promise<Cluster | undefined> {
  const { cluster: journal, clusterSecret: secret, advertise, link, node, engine } = config;
  if (journal === undefined) return undefined;
  if (secret === undefined) throw new CommandError('--cluster needs --cluster-secret (ROOMWIRE_CLUSTER_SECRET)');
  if (config.workers !== '0') {
    const why = 'they know their own process alone, and another may be the hub: run `roomwire edge` for more cores';
    throw new CommandError(`--cluster takes no --workers: ${why}`);
  }
  const { cluster } = await import('../cluster/index.js');
  const guard = linkSecurity(config);
  const isGuarded = guard.secret !== undefined || guard.cert !== undefined || guard.insecure === true;
  try {
    return cluster({
      ...{ journal, secret, advertise, link, node, engine },
      security: isGuarded ? guard : undefined,
      mayClaim: process.env[NODE_ENV] !== 'gave-way',
    });
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}
