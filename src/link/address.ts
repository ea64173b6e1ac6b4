/**
 * Where a link goes and how it is kept from others: a Unix socket on one machine, TCP with TLS beyond it. TLS is Node's own,
 * with a key made of one shared secret, or with certificates at both ends.
 */
import { hkdfSync } from 'node:crypto';
import { chmodSync, unlinkSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  connect as connectTls,
  createServer as createTlsServer,
  type ConnectionOptions,
  type TlsOptions,
} from 'node:tls';
import { isLoopbackAddress } from '../server/transport/addresses.js';

export type Address = { readonly path: string } | { readonly host: string; readonly port: number };

export interface Security {
  /** 32 characters or more, the same at both ends. */
  readonly secret?: string | undefined;
  /** PEM. All three, or none: each end shows a certificate, and believes those that `ca` has signed. */
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
  /** Plain TCP, also beyond this machine: whoever listens in reads tokens and API keys. */
  readonly insecure?: boolean | undefined;
}

type SharedOptions = Omit<TlsOptions & ConnectionOptions, 'pskCallback'>;

const IDENTITY = 'roomwire';
/** Keyed by the secret, and forward secret: who learns it later reads nothing of before. */
const PSK_CIPHERS = 'ECDHE-PSK-CHACHA20-POLY1305';
const CONNECT_MS = 5_000;
/** Of macOS, less the zero at its end; Linux has 107. */
const LONGEST_PATH = 103;

/** `unix:PATH`, `/PATH`, `HOST:PORT` or `[IPv6]:PORT`. Throws a TypeError. */
export function readAddress(text: string): Address {
  const path = /^(?:unix:)?(\.{0,2}\/.+)$/.exec(text)?.[1];
  if (path !== undefined) {
    // The system would cut it off without a word.
    if (Buffer.byteLength(path) > LONGEST_PATH) throw new TypeError(`'${path}' is too long for a socket's path`);
    return { path };
  }
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const host = bracketed ?? plain;
  const port = Number(digits);
  if (host === undefined || port > 65_535)
    throw new TypeError(`'${text}' is no address such as hub:8421 or unix:/run/hub`);
  return { host, port };
}

export function addressText(address: Address): string {
  if ('path' in address) return `unix:${address.path}`;
  return `${address.host.includes(':') ? `[${address.host}]` : address.host}:${address.port}`;
}

/** Whether only this machine leads there. */
export function isLocal(address: Address): boolean {
  return 'path' in address || address.host === 'localhost' || isLoopbackAddress(address.host);
}

/** Throws a TypeError for what would let others read, or in. */
export function checkSecurity(addresses: readonly Address[], { secret, cert, key, ca, insecure }: Security): void {
  if (secret !== undefined && secret.length < 32) {
    throw new TypeError('the link needs a secret of 32 characters or more, such as `openssl rand -hex 32`');
  }
  const pems = [cert, key, ca].filter((pem) => pem !== undefined).length;
  if (pems !== 0 && pems !== 3) throw new TypeError('certificates of the link: give all of cert, key and ca');
  if (pems === 3 && secret !== undefined) throw new TypeError('the link takes a secret or certificates, not both');
  if (secret !== undefined || pems === 3 || insecure === true) return;
  for (const address of addresses) {
    if (isLocal(address)) continue;
    throw new TypeError(
      `refusing a plain link to ${addressText(address)}: tokens and API keys travel on it. Set a secret ` +
        '(ROOMWIRE_LINK_SECRET) or certificates; on a network that nobody else reads, --insecure-link',
    );
  }
}

function tlsOptions({ secret, cert, key, ca }: Security): SharedOptions | undefined {
  if (cert !== undefined) {
    return { cert, key, ca, requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3' };
  }
  if (secret === undefined) return undefined;
  // Node has no pre-shared keys in TLS 1.3.
  return { ciphers: PSK_CIPHERS, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' };
}

function keyOf(secret: string): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, '', 'roomwire link', 32));
}

/** `failed` gets a line for each that could not be taken. Rejects as `listen` of net does. */
export async function listenAt(
  address: Address,
  security: Security,
  { taken, failed }: { taken: (socket: Socket) => void; failed: (reason: string) => void },
): Promise<{ readonly server: Server; readonly address: Address }> {
  const tls = 'path' in address ? undefined : tlsOptions(security);
  const { secret } = security;
  const take = (socket: Socket): void => {
    socket.setNoDelay(true);
    taken(socket);
  };
  const server =
    tls === undefined
      ? createServer(take)
      : createTlsServer(
          {
            ...tls,
            handshakeTimeout: CONNECT_MS,
            ...(secret === undefined
              ? {}
              : { pskCallback: (_: unknown, identity: string) => (identity === IDENTITY ? keyOf(secret) : null) }),
          },
          take,
        );
  server.on('tlsClientError', (error: Error, socket: Socket) => {
    failed(`${socket.remoteAddress ?? 'somebody'} could not join: ${reasonOf(error)}`);
  });
  if ('path' in address) await removeStale(address.path);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen('path' in address ? { path: address.path } : { ...address, exclusive: true }, () => {
      server.off('error', reject);
      server.on('error', (error: Error) => failed(error.message));
      resolve();
    });
  });
  if ('path' in address) {
    chmodSync(address.path, 0o600);
    return { server, address };
  }
  return { server, address: { host: address.host, port: (server.address() as { port: number }).port } };
}

/** Rejects with an Error whose message says why, within some seconds. */
export function dial(address: Address, security: Security): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const tls = 'path' in address ? undefined : tlsOptions(security);
    const { secret } = security;
    const socket =
      tls === undefined
        ? connect(address as { host: string; port: number })
        : connectTls({
            ...(address as { host: string; port: number }),
            ...tls,
            ...(secret === undefined
              ? { servername: 'host' in address ? address.host : '' }
              : {
                  pskCallback: () => ({ psk: keyOf(secret), identity: IDENTITY }),
                  checkServerIdentity: () => undefined,
                }),
          });
    const failed = (error: Error): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(new Error(reasonOf(error)));
    };
    const timer = setTimeout(() => failed(new Error(`no answer within ${CONNECT_MS / 1_000} s`)), CONNECT_MS);
    const closed = (): void => failed(new Error('closed while connecting'));
    socket.once('error', failed);
    socket.once('close', closed);
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      clearTimeout(timer);
      socket.off('error', failed);
      socket.off('close', closed);
      socket.setNoDelay(true);
      resolve(socket);
    });
  });
}

/** What OpenSSL and Node say, as people can use it. */
function reasonOf(error: Error): string {
  const { code = '' } = error as NodeJS.ErrnoException;
  if (/DECRYPT_ERROR|BAD_DECRYPT|BAD_RECORD_MAC|BINDER/i.test(`${code} ${error.message}`)) return 'the secrets differ';
  if (/WRONG_VERSION|UNSUPPORTED_PROTOCOL|HTTP_REQUEST|NO_SHARED_CIPHER|HANDSHAKE_FAILURE|PACKET_LENGTH/i.test(code)) {
    return `one end has a secret or certificates and the other has not (${code})`;
  }
  return code === '' || error.message.includes(code) ? error.message : `${error.message} (${code})`;
}

/** A socket's file that a killed hub left; one that somebody listens on stays. */
async function removeStale(path: string): Promise<void> {
  const isUsed = await new Promise<boolean>((resolve) => {
    const socket = connect({ path });
    socket.once('connect', () => resolve(true));
    socket.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ECONNREFUSED'));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
  if (isUsed) return;
  try {
    unlinkSync(path);
  } catch {
    // Another has removed it.
  }
}
