/**
 * What tokens may be signed with: the algorithms that are known, and a public key in PEM with those that fit it. Used
 * by auth.ts.
 */
import { createPublicKey, type KeyObject } from 'node:crypto';

const SECRET_ALGORITHMS = ['HS256', 'HS384', 'HS512'];
const RSA_ALGORITHMS = ['RS256', 'PS256', 'RS384', 'PS384', 'RS512', 'PS512'];
const EDWARDS_ALGORITHMS = ['EdDSA', 'Ed25519'];
const CURVES: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };
const PUBLIC_ALGORITHMS = [...RSA_ALGORITHMS, ...Object.values(CURVES), ...EDWARDS_ALGORITHMS];

/** Throws a TypeError for one that a secret does not have. */
export function secretAlgorithms(given: readonly string[] | undefined): string[] {
  return taken(given, SECRET_ALGORITHMS, ['HS256'], 'a secret');
}

/** Of a key set, whose keys are not known yet. Throws a TypeError. */
export function setAlgorithms(given: readonly string[] | undefined): string[] {
  return taken(given, PUBLIC_ALGORITHMS, ['RS256', 'PS256', 'ES256', 'EdDSA'], 'a key set');
}

/** Throws a TypeError for what is no public key, more than one, or one that no algorithm is known for. */
export function publicKeyOf(pem: string): KeyObject {
  if (/-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(pem)) {
    throw new TypeError('auth.publicKey: this is a private key: give the public one alone');
  }
  // Only the first would count.
  if ((pem.match(/-----BEGIN /g) ?? []).length > 1) {
    throw new TypeError('auth.publicKey: takes one key; where there are several use auth.jwksUrl');
  }
  let key: KeyObject;
  try {
    key = createPublicKey(pem);
  } catch (error) {
    throw new TypeError('auth.publicKey: not a public key in PEM', { cause: error });
  }
  const bits = key.asymmetricKeyDetails?.modulusLength;
  if (bits !== undefined && bits < 2048)
    throw new TypeError(`auth.publicKey: RSA needs 2,048 bits or more, not ${bits}`);
  return key;
}

/** Throws a TypeError for one that does not fit the key. */
export function publicKeyAlgorithms(key: KeyObject, given: readonly string[] | undefined): string[] {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  switch (type) {
    case 'rsa':
      return taken(given, RSA_ALGORITHMS, ['RS256', 'PS256'], 'an RSA key');
    case 'ed25519':
      return taken(given, EDWARDS_ALGORITHMS, EDWARDS_ALGORITHMS, 'a key of Ed25519');
    case 'ec': {
      const curve = details?.namedCurve ?? '';
      const name = Object.hasOwn(CURVES, curve) ? (CURVES[curve] as string) : undefined;
      if (name !== undefined) return taken(given, [name], [name], `a key of ${curve}`);
      throw new TypeError(`auth.publicKey: the curve ${curve} is not supported: ${Object.keys(CURVES).join(', ')} are`);
    }
    default:
      throw new TypeError(`auth.publicKey: keys of type ${type} are not supported`);
  }
}

/** A public key taken as an HMAC secret would let everyone sign, the classic confusion: only what fits is taken. */
function taken(
  given: readonly string[] | undefined,
  fitting: readonly string[],
  preset: readonly string[],
  what: string,
): string[] {
  if (given === undefined) return [...preset];
  const odd = given.find((name) => !fitting.includes(name));
  if (odd === undefined && given.length > 0) return [...given];
  throw new TypeError(
    `auth.algorithms: ${what} takes ${fitting.join(', ')}, never none${odd === undefined ? '' : `: not ${JSON.stringify(odd)}`}`,
  );
}
