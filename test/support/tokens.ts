/** Tokens for tests: a shared secret and signed users. */
import { SignJWT } from 'jose';

export const SECRET = 'a-secret-of-at-least-32-bytes-length!';

export async function tokenFor(sub: string, claims: Readonly<Record<string, unknown>> = {}): Promise<string> {
  return new SignJWT({ ...claims })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(sub)
    .setExpirationTime('1h')
    .sign(new TextEncoder().encode(SECRET));
}
