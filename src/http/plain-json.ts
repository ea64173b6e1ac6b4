import type { LoggedEvent } from '../server/api.js';

/** A value of frames as JSON can have it. Bytes have no JSON: they become `{"base64": …}`. */
export function plainJson(value: unknown): unknown {
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return value.map(plainJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plainJson(part)]));
}

export function plainEvent(event: LoggedEvent): object {
  return { ...event, data: plainJson(event.data) };
}
