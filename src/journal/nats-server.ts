/** What a NATS server is, and how it says so: its packages, its address, its version, its errors. */
import type { StreamConfig } from '@nats-io/jetstream';
import { StoreError } from '../store/store.js';

const OLDEST = [2, 9];
const ADVISED = [2, 12];

export interface Modules {
  readonly transport: typeof import('@nats-io/transport-node');
  readonly jetstream: typeof import('@nats-io/jetstream');
}

/** `old`: it works, and a newer one is better. Throws for one that cannot keep the log. */
export function checkVersion(version: string): 'fine' | 'old' {
  const [major = 0, minor = 0] = version.split('.').map(Number);
  const isBefore = ([least = 0, then = 0]: readonly number[]): boolean =>
    major < least || (major === least && minor < then);
  if (isBefore(OLDEST)) throw new StoreError('unusable', `NATS ${version} is too old for the log: 2.9 is the oldest`);
  return isBefore(ADVISED) ? 'old' : 'fine';
}

export async function load(): Promise<Modules> {
  try {
    return { transport: await import('@nats-io/transport-node'), jetstream: await import('@nats-io/jetstream') };
  } catch (error) {
    const what = 'npm install @nats-io/transport-node @nats-io/jetstream';
    throw new StoreError('unusable', `a log in NATS needs its packages: ${what}`, error);
  }
}

export function serversOf(url: string): {
  servers: string[];
  user?: string;
  pass?: string;
  token?: string;
  tls?: object;
} {
  const [, scheme = '', , login, hosts = ''] = /^(\w+):\/\/(([^@/]*)@)?([^/?]*)/.exec(url) ?? [];
  const [user, pass] = (login ?? '').split(':').map(decodeURIComponent);
  return {
    servers: hosts.split(','),
    ...(login === undefined ? {} : pass === undefined ? { token: user } : { user, pass }),
    ...(scheme === 'tls' ? { tls: {} } : {}),
  };
}

export function described({ description = '' }: StreamConfig): RegExpExecArray | null {
  return /^roomwire log (\d+) ([\w-]+)$/.exec(description);
}

export function codeOf(error: unknown): number | undefined {
  const { code } = error as { code?: unknown };
  return typeof code === 'number' ? code : undefined;
}

export function messageOf(error: unknown): string {
  return (error as Error).message;
}
