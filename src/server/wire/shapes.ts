/** What a decoded value is, where a frame's element may be anything. */
import type { Position, Value } from '../../protocol/frames.js';

export function isPosition(value: Value | undefined): value is Position {
  return (
    Array.isArray(value) &&
    typeof value[0] === 'string' &&
    Number.isSafeInteger(value[1]) &&
    (value[1] as unknown as number) >= 0
  );
}

export function isMap(value: Value | undefined): value is { readonly [key: string]: Value } {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
}
