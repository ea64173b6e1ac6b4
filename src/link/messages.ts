/** What the structures of the link hold. Both ends are this package, if not the same version of it: fields are added, never changed. */
import type { EngineInfo } from '../protocol/http-answers.js';
import type { AdmissionOptions } from '../server/gate/doorkeeper.js';
import type { HttpRequest, HttpResponse } from '../server/transport/transport.js';

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

export interface Ask extends Omit<HttpRequest, 'body'> {
  readonly bodyBytes: number;
}

export interface AnswerHead extends Omit<HttpResponse, 'body'> {
  readonly bodyBytes: number;
  /** Of a body in parts: StreamedBody. What it is written to is a connection, which the edge opens with STREAM. */
  readonly filler?: Uint8Array;
}
