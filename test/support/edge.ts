/**
 * ROOMWIRE_EDGE=1: the suite's servers are hubs whose sockets are held by an edge of this process, behind a Unix socket.
 * ROOMWIRE_EDGE=2: by two on one port, where the engine can share one.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dial, listenAt } from '../../src/link/address.js';
import { runEdge, type Edge } from '../../src/link/edge.js';
import { linkTransport, type OwnedEdges } from '../../src/link/hub.js';
import { workers } from '../../src/link/workers.js';
import { freePort } from './free-port.js';
import type { TimeSource } from '../../src/server/time/clock.js';
import type { ServerOptions } from '../../src/server/server.js';
import type { Contract } from '../../src/protocol/contract.js';
import type { Plugin, User } from '../../src/server/api.js';

export const edgeCount = Number(process.env['ROOMWIRE_EDGE'] ?? 0);

export interface EdgeSettings {
  readonly engine: 'auto' | 'uws' | 'ws';
  readonly count?: number;
  /** The server's, where a test drives it. */
  readonly time?: TimeSource | undefined;
}

/** Edges of this process, which end with the server. `edges` has them once it listens. */
export function edgesHere({ engine, count = 1, time }: EdgeSettings) {
  const edges: Edge[] = [];
  const dir = mkdtempSync(join(tmpdir(), 'edge-'));
  let closeLink = (): void => undefined;
  const owned: OwnedEdges = {
    async start(place, accept, { tls }) {
      const path = join(dir, 'hub');
      const taken = { taken: accept, failed: (reason: string) => console.error(reason) };
      const { server } = await listenAt({ path }, {}, taken);
      closeLink = () => void server.close();
      const port = count > 1 && place.port === 0 ? await freePort() : place.port;
      for (let i = 0; i < count; i++) {
        const edge = runEdge({
          name: `e${i + 1}`,
          hubs: [{ text: path, dial: () => dial({ path }, {}) }],
          host: place.host,
          port,
          engine,
          ...(time === undefined ? {} : { monotonic: () => time.monotonic() }),
          tls,
          isOwned: true,
          shared: count > 1,
          log: { debug() {}, info() {}, warn() {}, error: (fields, message) => console.error(message, fields) },
        });
        edges.push(edge);
      }
    },
    reloadTls() {
      for (const edge of edges) edge.reloadTls();
    },
    stop() {},
    async close() {
      closeLink();
      // Each ends with its link, after what came last.
      await Promise.all(edges.map(({ ended }) => ended));
      rmSync(dir, { recursive: true, force: true });
    },
  };
  return { transport: linkTransport({ owned }), edges };
}

/** The same of a server that a test starts as a process of its own: its edges are processes, too. */
export function childTransport(engine: 'auto' | 'uws' | 'ws') {
  return edgeCount === 0 ? {} : { transport: workers({ count: edgeCount, engine }) };
}

/** What the suite's servers are made with: nothing, unless ROOMWIRE_EDGE says so. */
export function suiteTransport({
  engine = 'auto',
  time,
}: {
  readonly engine?: EdgeSettings['engine'];
  readonly time?: TimeSource;
}): {
  readonly transport?: ServerOptions<Contract, User, readonly Plugin[]>['transport'];
} {
  return edgeCount === 0
    ? {}
    : { transport: edgesHere({ engine, time, count: engine === 'ws' ? 1 : edgeCount }).transport };
}
