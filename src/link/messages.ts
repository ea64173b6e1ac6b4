/**
 * What the structures of the link hold. Both ends are this package, if not the same version of it: fields are added, never changed.
 * What an edge says is looked at before it is believed.
 */
import type { EngineInfo } from '../protocol/http-answers.js';
import type { AdmissionOptions } from '../server/gate/doorkeeper.js';
import type { HttpRequest, HttpResponse, UpgradeInfo } from '../server/transport/transport.js';
import { LinkError, unpack } from './frames.js';

/** An edge, as it presents itself. */
export interface Join {
  readonly versions: readonly [least: number, most: number];
  readonly name: string;
  /** Of this process: the same name from another one is another edge. */
  readonly run: string;
  readonly package: string;
  readonly engine: EngineInfo;
  readonly host: string;
}

/** Throws a LinkError for one that does not say who it is. */
export function readJoin(payload: Uint8Array): Join {
  const join = unpack<Join>(payload);
  const { versions, name, host, run, package: version, engine } = join;
  const isSound =
    areTexts(host, run, version, engine?.name) && Array.isArray(versions) && /^[\w.-]{1,64}$/.test(String(name));
  if (!isSound) throw new LinkError('is no edge of roomwire: what it says of itself cannot be used');
  return join;
}

/** Throws a LinkError for one that the server could not use. */
export function readUpgrade(payload: Uint8Array): UpgradeInfo {
  const info = unpack<UpgradeInfo>(payload);
  const { address, path, query, authorization, origin, host, userAgent, forwardedFor = '', subprotocols } = info;
  const isSound =
    areTexts(address, path, query, authorization, origin, host, userAgent, forwardedFor) &&
    Array.isArray(subprotocols) &&
    areTexts(...(subprotocols as readonly unknown[]));
  if (!isSound) throw new LinkError('opened a connection and does not say whose');
  return info;
}

function areTexts(...values: readonly unknown[]): boolean {
  return values.every((value) => typeof value === 'string');
}

/** How an edge is to take connections. */
export interface Settings {
  readonly version: number;
  /** Of several hubs the one with the highest counts. */
  readonly term: number;
  /** As the hub calls this edge: two of one name are told apart. */
  readonly name: string;
  readonly limits: EngineLimits;
  /** Less the connections and upgrades in all, of which it has a Share. */
  readonly admission: AdmissionOptions;
  readonly share: Share;
  /** SHA-256 of what the hub's own probe shows: it is under no limit. */
  readonly ownKey: Uint8Array;
}

export interface EngineLimits {
  readonly messageBytes: number;
  readonly bodyBytes: number;
  readonly maxBufferedBytes: number;
  readonly endMs?: number;
  readonly httpIdleMs?: number;
}

/** What an edge may take of the limits that hold in all; 0: no limit. */
export interface Share {
  readonly connections: number;
  readonly upgradesPerSecond: number;
}

export interface Refused {
  readonly address: string;
  readonly limit: string;
  readonly times: number;
}

export interface Gauges {
  readonly connections: number;
  readonly cpuSeconds: number;
  readonly rssBytes: number;
  /** Seconds: the median, of a hundred the worst but one, the worst. */
  readonly loopDelay: readonly [number, number, number];
  /** Towards the hub, and not taken yet. */
  readonly inFlightBytes: number;
}

/** Throws a LinkError for what would be in no metric. */
export function readGauges(payload: Uint8Array): Gauges {
  const gauges = unpack<Gauges>(payload);
  const { cpuSeconds, rssBytes, loopDelay } = gauges;
  const numbers = [cpuSeconds, rssBytes, loopDelay].flat();
  if (numbers.length !== 5 || !numbers.every(Number.isFinite)) throw new LinkError('sent gauges that are none');
  return gauges;
}

/** Under way at once on one link. */
export const ASKS = 10_000;

export interface Ask extends Omit<HttpRequest, 'body'> {
  readonly bodyBytes: number;
}

export interface AnswerHead extends Omit<HttpResponse, 'body'> {
  readonly bodyBytes: number;
  /** Of a body in parts: StreamedBody. What it is written to is a connection, which the edge opens with STREAM. */
  readonly filler?: Uint8Array;
}
