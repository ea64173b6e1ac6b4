/** Tokens of every kind, good and bad, for the tests of authentication; tokens.ts is enough for the others. */
import { createHmac, createPrivateKey, generateKeyPairSync } from 'node:crypto';
import { SignJWT, type JWTPayload } from 'jose';
import { SECRET } from './tokens.js';

const rsa = generateKeyPairSync('rsa', {
  modulusLength: 2048,
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
export const { publicKey, privateKey } = rsa;

export interface TokenOptions {
  /** Seconds since the Unix epoch. */
  readonly exp?: number;
  readonly claims?: JWTPayload;
  readonly key?: string;
  readonly algorithm?: string;
}

/** A token that HS256 with SECRET signed, unless told otherwise. */
export async function token(
  sub: string | undefined,
  { exp, claims = {}, key = SECRET, algorithm = 'HS256' }: TokenOptions = {},
): Promise<string> {
  const jwt = new SignJWT(claims).setProtectedHeader({ alg: algorithm });
  if (sub !== undefined) jwt.setSubject(sub);
  if (exp !== undefined) jwt.setExpirationTime(exp);
  return jwt.sign(algorithm.startsWith('HS') ? new TextEncoder().encode(key) : createPrivateKey(key));
}

const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url');

/** A token that no library would make: any header, signed with any bytes or not at all. */
export function forged(header: object, claims: object, hmacKey?: string): string {
  const body = `${part(header)}.${part(claims)}`;
  return `${body}.${hmacKey === undefined ? '' : createHmac('sha256', hmacKey).update(body).digest('base64url')}`;
}
