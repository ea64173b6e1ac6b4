/** Certificates for tests, two of one name, and clients that believe them. */
import { copyFileSync, readFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import type { TlsFiles } from '../../src/server/transport/tls.js';

type Name = 'first' | 'second';

const fileOf = (name: string): string => fileURLToPath(new URL(`./tls/${name}.pem`, import.meta.url));
/** Both are their own issuers. */
export const ca = readFileSync(fileOf('first'), 'utf8') + readFileSync(fileOf('second'), 'utf8');

/** The files of a certificate, in a folder of the test's own: `put` writes others in their place, as a renewal does. */
export function certificateIn(folder: string): TlsFiles & { put(cert: Name, key?: Name): void } {
  const files = { cert: join(folder, 'cert.pem'), key: join(folder, 'key.pem') };
  const put = (cert: Name, key = cert): void => {
    copyFileSync(fileOf(cert), files.cert);
    copyFileSync(fileOf(`${key}-key`), files.key);
  };
  put('first');
  return { ...files, put };
}

/** A connection of its own for each. */
export function get(
  url: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ readonly status: number | undefined; readonly body: string }> {
  return new Promise((resolve, reject) => {
    const asked = request(url, { ca, headers, agent: false }, (answer) => {
      let body = '';
      answer.setEncoding('utf8');
      answer.on('data', (text: string) => (body += text));
      answer.on('end', () => resolve({ status: answer.statusCode, body }));
    });
    asked.on('error', reject);
    asked.end();
  });
}

/** `roomwire test first`, or the other: whose certificate a server shows. */
export function shownAt(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1', ca }, () => {
      const { CN } = socket.getPeerCertificate().subject;
      socket.destroy();
      resolve(String(CN));
    });
    socket.on('error', reject);
  });
}
