/**
 * What an engine needs that takes connections in other processes: there an upgrade is refused before it costs anything
 * here. The server hands it to `ServerOptions.transport`.
 */
import type { TransportOptions } from '../transport/transport.js';
import type { Log } from '../watch/log.js';
import type { AdmissionOptions } from './doorkeeper.js';

export interface Doors {
  /** Whole, with the defaults. */
  readonly admission: AdmissionOptions;
  /** SHA-256 of the token that the server's own probe shows. */
  readonly ownKey: Uint8Array;
  /** Whether everybody is let in as a guest: then nobody beyond this machine may be. */
  readonly guests: boolean;
  readonly log: Log;
  /** Open connections in all, however they came. */
  connections(): number;
  /** Counts an upgrade that was taken elsewhere. */
  upgraded(): void;
  /** Writes down upgrades that were refused elsewhere. */
  refused(address: string, limit: string, times: number): void;
  /** `tell` hears of addresses that may not come in for so many ms. */
  onShun(tell: (address: string, ms: number) => void): void;
  /** What clients are told when the process that serves them loses this one. */
  farewell(spreadMs: number): { readonly code: number; readonly reason: string; readonly bytes: Uint8Array };
}

export interface HubTransportOptions extends TransportOptions {
  readonly doors: Doors;
}
