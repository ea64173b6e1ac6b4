/**
 * What no event may hold: a map key `__proto__` (RW-PUB-7). Common decoders refuse it, so one such event would end each
 * subscriber's connection at each resume. Looked for where data becomes an event: publish.ts for what clients
 * send, whose bytes the scanner has seen; hub/ for what programs publish, which the encoder has seen.
 */
import { RoomwireError } from '../../protocol/errors.js';
import { holdsProtoKey } from '../../protocol/scan.js';
import { refusal } from './refusal.js';

const PROTO = '__proto__';
const MESSAGE = `must have no key '${PROTO}': common decoders refuse it`;

/** Throws invalid_data. */
export function requireEventBytes(data: Uint8Array): void {
  if (holdsProtoKey(data)) throw refusal('invalid_data', `data ${MESSAGE}`, details(''));
}

/** Throws invalid_data, with the path. */
export function requireEventData(data: unknown): void {
  const path = pathOfProtoKey(data);
  if (path === undefined) return;
  throw new RoomwireError('invalid_data', `${path}: ${MESSAGE}`, details(path));
}

function details(path: string) {
  return { details: { issues: [{ path, message: MESSAGE }] } };
}

/** Of data that was encoded, and so has few levels. */
function pathOfProtoKey(data: unknown): string | undefined {
  if (typeof data !== 'object' || data === null || ArrayBuffer.isView(data)) return undefined;
  for (const [key, member] of Object.entries(data)) {
    if (key === PROTO) return key;
    const inner = pathOfProtoKey(member);
    if (inner !== undefined) return `${key}.${inner}`;
  }
  return undefined;
}
