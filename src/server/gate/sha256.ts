/** The server's one digest: secrets are kept and compared as theirs, content is recognized by its. */
import * as crypto from 'node:crypto';

/** In one call, which takes half the time: from Node 20.12 on. */
const inOneCall = (crypto as { readonly hash?: typeof crypto.hash }).hash;

export function sha256(content: string | Uint8Array): Buffer {
  return inOneCall?.('sha256', content, 'buffer') ?? crypto.createHash('sha256').update(content).digest();
}

/** In base64url. */
export function sha256Text(content: string | Uint8Array): string {
  return inOneCall?.('sha256', content, 'base64url') ?? crypto.createHash('sha256').update(content).digest('base64url');
}
