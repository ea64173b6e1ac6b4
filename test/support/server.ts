/**
 * Starts a real server on port 0 in one line. ROOMWIRE_ENGINE (uws, ws) and ROOMWIRE_STORE (memory,
 * lmdb, async, replicated) choose what it runs on, so the whole suite runs on every pair.
 */
import * as v from 'valibot';
import { defineContract, type Contract } from '../../src/protocol/contract.js';
import type { Log, Plugin, User } from '../../src/server/api.js';
import { createServer, type Server, type ServerOptions } from '../../src/server/server.js';
import type { TimeSource } from '../../src/server/time/clock.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { asyncStore } from '../store/async-store.js';
import { suiteTransport } from './edge.js';
import { replicatedTestStore } from './replicated.js';
import { WireClient } from './wire-client.js';

export interface Test {
  teardown(fn: () => unknown): void;
  testdir(): string;
}

export const engine = (process.env['ROOMWIRE_ENGINE'] ?? 'auto') as 'uws' | 'ws' | 'auto';
export const storeName = process.env['ROOMWIRE_STORE'] ?? 'memory';

/** `failEvery`: how often the async store fails, for tests of just that; the others are not to expect refusals. */
export function testStore(t: Test, failEvery = 0, time?: TimeSource): Store {
  if (storeName === 'lmdb') return lmdbStore({ path: t.testdir() });
  if (storeName === 'replicated') return replicatedTestStore(time);
  if (storeName === 'async') return asyncStore(memoryStore(), { seed: 7, failEvery });
  return memoryStore();
}

/** A contract with one topic per kind of rule. */
export const openContract = defineContract({
  topics: {
    'news:{id}': { events: { headline: v.object({ text: v.string() }) } },
    'chat:{id}': {
      events: {
        message: { schema: v.unknown(), publish: 'subscribers' },
        strict: { schema: v.object({ n: v.number() }), publish: 'subscribers' },
        notice: v.unknown(),
      },
    },
    'kept:{id}': { subscribe: 'by-call', events: { note: v.unknown() } },
  },
  calls: {
    echo: { input: v.unknown() },
    fail: { input: v.unknown() },
    hang: { input: v.unknown() },
    strict: { input: v.object({ n: v.number() }) },
    keep: { input: v.object({ id: v.string() }) },
    drop: { input: v.object({ id: v.string() }) },
  },
});

/** Errors the server logged; a test that expects none looks here. */
export function collectingLog(): Log & { readonly errors: { fields: object; message: string }[] } {
  const errors: { fields: object; message: string }[] = [];
  return {
    errors,
    debug() {},
    info() {},
    warn() {},
    error: (fields, message) => void errors.push({ fields, message }),
  };
}

export async function startServer<
  const C extends Contract = typeof openContract,
  U extends User = User,
  const P extends readonly Plugin[] = [],
>(t: Test, options: Partial<ServerOptions<C, U, P>> & { setup?: (server: Server<never, U, P>) => void } = {}) {
  const { setup, ...rest } = options;
  const log = collectingLog();
  const server = createServer<C, U, P>({
    contract: openContract as unknown as C,
    // Not made in vain: LMDB's would empty the test's directory.
    store: options.store ?? testStore(t, 0, options.time),
    engine,
    ...suiteTransport({ engine, ...options }),
    log,
    // The runner removes a test's directory before it closes its servers.
    deposed: () => undefined,
    ...rest,
  });
  setup?.(server as unknown as Server<never, U, P>);
  const { port } = await server.listen({ port: 0 });
  const clients: WireClient[] = [];
  const url = `ws://127.0.0.1:${port}`;
  t.teardown(async () => {
    for (const client of clients) client.cut();
    await server.close();
  });
  return {
    server,
    log,
    port,
    url,
    http: `http://127.0.0.1:${port}`,
    /** A bare connection. */
    connect(protocols?: string[], headers?: Record<string, string>): WireClient {
      const client = new WireClient(url, protocols, headers);
      clients.push(client);
      return client;
    },
    /** A connection that has said HELLO. */
    async client(hello = {}): Promise<WireClient & { welcome: Awaited<ReturnType<WireClient['hello']>> }> {
      const client = new WireClient(url);
      clients.push(client);
      const welcome = await client.hello(hello);
      return Object.assign(client, { welcome });
    },
  };
}
