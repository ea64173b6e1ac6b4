/**
 * The certificate that an engine shows, as files. They are read and checked before an engine is given them: one that cannot
 * be used stops the start in words, and at a reload leaves the certificate before it in its place.
 */
import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { createSecureContext } from 'node:tls';

export interface TlsFiles {
  /** PEM: the certificate, then those between it and a root, as issuers call a full chain. */
  readonly cert: string;
  /** PEM: its private key, without a passphrase. */
  readonly key: string;
}

/** What is in the files. Throws a TypeError that names the file and what is wrong with it. */
export function readTls(files: TlsFiles): TlsFiles {
  const [cert, key] = [read('cert', files.cert), read('key', files.key)];
  let certificate: X509Certificate;
  try {
    certificate = new X509Certificate(cert);
  } catch {
    throw new TypeError(`tls.cert: ${files.cert} holds no certificate in PEM`);
  }
  if (!certificate.checkPrivateKey(privateKey(key, files.key))) {
    throw new TypeError(`tls.key: ${files.key} is not the key of the certificate in ${files.cert}`);
  }
  try {
    createSecureContext({ cert, key });
  } catch (error) {
    const why = (error as Error).message;
    throw new TypeError(`tls: ${files.cert} with ${files.key} cannot be used: ${why}`, { cause: error });
  }
  return { cert, key };
}

function read(field: keyof TlsFiles, path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new TypeError(`tls.${field}: cannot read ${path}: ${(error as Error).message}`, { cause: error });
  }
}

function privateKey(pem: string, path: string): KeyObject {
  // An engine would ask nobody for the passphrase.
  if (/^-----BEGIN ENCRYPTED|^Proc-Type: 4,ENCRYPTED/m.test(pem)) {
    throw new TypeError(`tls.key: ${path} is protected by a passphrase: write it without one, as openssl pkey does`);
  }
  try {
    return createPrivateKey(pem);
  } catch {
    throw new TypeError(`tls.key: ${path} holds no private key in PEM`);
  }
}
