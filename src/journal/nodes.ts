/**
 * How all nodes of a cluster stand. Standbys write nothing to the log, and one that cannot reach the hub is the one to look
 * for; but every node reaches the engine, so each tells it there, once a second, beside the log. Nothing is decided by it.
 */
import * as v from 'valibot';
import { NodeReport } from '../protocol/http-answers.js';
import { ANNOUNCED_MS, type Announced, type Journal } from './journal.js';
import type { Settled } from './settings.js';
import { reportOf, type ClusterStatus } from './status.js';
import { inTime } from './wait.js';

const EVERY_MS = 1_000;
const LEAVE_MS = 500;

/** By the node itself. */
export type Told = Omit<NodeReport, 'seenMs'>;

/** By name. Rejects with a StoreError while the engine does not answer. */
export async function nodesIn(journal: Pick<Journal, 'announced'>): Promise<readonly NodeReport[]> {
  const found = (await journal.announced()).flatMap(read);
  return found.sort((a, b) => (a.node < b.node ? -1 : 1));
}

/** None where it is of a version that says other things. */
function read({ bytes, ageMs }: Announced): NodeReport[] {
  try {
    const told = JSON.parse(Buffer.from(bytes).toString()) as Told;
    return [v.parse(NodeReport, { ...told, seenMs: Math.round(ageMs) })];
  } catch {
    return [];
  }
}

export interface NodesOptions {
  readonly settled: Pick<Settled, 'node' | 'link' | 'time'>;
  /** Undefined while it is not open. */
  readonly journal: () => Journal | undefined;
  readonly status: () => ClusterStatus;
}

/** One node's part in it. */
export class Nodes {
  readonly #options: NodesOptions;
  /** As this node, while it is the hub, last saw them. */
  readonly #seen = new Map<string, { readonly report: NodeReport; readonly at: number }>();
  readonly #stopTelling: () => void;
  #isTelling = false;

  constructor(options: NodesOptions) {
    this.#options = options;
    this.#stopTelling = options.settled.time.every(EVERY_MS, () => {
      if (this.#isTelling) return;
      this.#isTelling = true;
      // An engine that is away is told of elsewhere.
      void this.#tell()
        .catch(() => undefined)
        .finally(() => (this.#isTelling = false));
    });
  }

  /** Known while this node is the hub: those seen in the last minute, by name. */
  get all(): readonly NodeReport[] {
    const { settled, status } = this.#options;
    const now = settled.time.monotonic();
    const told = status();
    if (told.role !== 'hub') return [];
    const seen = [...this.#seen.values()].map(({ report, at }) => ({ ...report, seenMs: Math.round(now - at) }));
    const others = seen.filter(({ node, seenMs }) => node !== settled.node && seenMs < ANNOUNCED_MS);
    const own = { ...reportOf(told), advertise: settled.link, seenMs: 0 };
    return [...others, own].sort((a, b) => (a.node < b.node ? -1 : 1));
  }

  async #tell(): Promise<void> {
    const { settled, journal, status } = this.#options;
    const log = journal();
    if (log === undefined) return;
    const told: Told = { ...reportOf(status()), advertise: settled.link };
    await log.announce(settled.node, Buffer.from(JSON.stringify(told)));
    if (told.role !== 'hub') return;
    const now = settled.time.monotonic();
    for (const report of await nodesIn(log)) this.#seen.set(report.node, { report, at: now - report.seenMs });
    for (const [node, { at }] of this.#seen) if (now - at > ANNOUNCED_MS) this.#seen.delete(node);
  }

  stop(): void {
    this.#stopTelling();
  }

  /** Says that this node is over, unless the engine does not take it at once. */
  async close(): Promise<void> {
    this.stop();
    await inTime(this.#tell(), LEAVE_MS).catch(() => undefined);
  }
}
