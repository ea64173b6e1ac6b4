/** A hub that edges dial, and edges that do so, for the tests of the link. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dial, readAddress, type Security } from '../../src/link/address.js';
import { runEdge, type Edge, type EdgeOptions } from '../../src/link/edge.js';
import { linkTransport } from '../../src/link/hub.js';
import type { Log, Plugin, User } from '../../src/server/api.js';
import type { ServerOptions } from '../../src/server/server.js';
import { startOpen } from './open-server.js';
import { engine, type openContract, type Test } from './server.js';

export interface Line {
  readonly level: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

export function lines(): Log & { readonly lines: Line[] } {
  const found: Line[] = [];
  const to = (level: string) => (fields: object, message: string) => void found.push({ ...fields, level, message });
  return { lines: found, debug: to('debug'), info: to('info'), warn: to('warn'), error: to('error') };
}

type Options = Partial<ServerOptions<typeof openContract, User, readonly Plugin[]>> & {
  /** Where edges dial. Default: a Unix socket. */
  readonly at?: string;
  readonly security?: Security;
  readonly term?: number;
  readonly path?: string;
};

/** A socket's path must be short. */
export function shortDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'hub-'));
  t.teardown(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

/** `address`: where edges dial. */
export async function startHub(
  t: Test,
  { at, security = {}, term = 0, path = join(shortDir(t), 'hub'), ...options }: Options = {},
) {
  const log = lines();
  const address = at ?? `unix:${path}`;
  const transport = linkTransport({ at: [readAddress(address)], security, engine, term });
  const hub = await startOpen(t, { transport, log, ...options });
  const listening = log.lines.find(({ message }) => message === 'waiting for edges');
  return { ...hub, lines: log.lines, address: String(listening?.['address']) };
}

/** An edge of this process that dials these hubs. */
export async function startEdge(
  t: Test,
  hubs: string | readonly string[],
  { security = {}, ...options }: Partial<EdgeOptions> & { readonly security?: Security } = {},
): Promise<Edge & { readonly url: string; readonly http: string; readonly lines: Line[] }> {
  const log = lines();
  const edge = runEdge({
    name: 'edge',
    hubs: [hubs].flat().map((text) => ({ text, dial: () => dial(readAddress(text), security) })),
    host: '127.0.0.1',
    port: 0,
    engine,
    log,
    ...options,
  });
  t.teardown(() => edge.close());
  const port = await edge.listening;
  return Object.assign(edge, { url: `ws://127.0.0.1:${port}`, http: `http://127.0.0.1:${port}`, lines: log.lines });
}
