/** Data on its way to the backend: JSON has less than MessagePack, and what it lacks is refused, not bent. */
import { RoomwireError } from '../protocol/errors.js';

/** The value itself. Throws invalid_data for bytes and for numbers that are none. */
export function plain(value: unknown): unknown {
  if (value instanceof Uint8Array)
    throw new RoomwireError('invalid_data', 'bytes cannot go to the backend: JSON has none');
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new RoomwireError('invalid_data', `${value} cannot go to the backend: JSON has no such number`);
  }
  if (Array.isArray(value)) value.forEach(plain);
  else if (typeof value === 'object' && value !== null) Object.values(value).forEach(plain);
  return value;
}
