/** The server's one digest: secrets are kept and compared as theirs, content is recognized by its. */
import { createHash } from 'node:crypto';

export function sha256(content: string | Uint8Array): Buffer {
  return createHash('sha256').update(content).digest();
}
