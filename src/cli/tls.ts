/** The certificate that a command shows to clients, from settings that name files, and its renewal. */
import { readTls, type TlsFiles } from '../server/transport/tls.js';
import type { Lines } from './lines.js';

/** As operators know it from other servers; SIGHUP, which some take for it, ends this one: its terminal is gone. */
const RELOAD = 'SIGUSR2';

/** Undefined for plain connections. Throws a TypeError for half of it, and for files that cannot be used. */
export function tlsOf({ cert, key }: Partial<TlsFiles>): TlsFiles | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (cert === undefined) throw new TypeError('tls.key is set and tls.cert is not: TLS takes both');
  if (key === undefined) throw new TypeError('tls.cert is set and tls.key is not: TLS takes both');
  readTls({ cert, key });
  return { cert, key };
}

/** At the signal, which ends nothing where there is no certificate. */
export function reloadOnSignal(tls: TlsFiles | undefined, reload: () => void, err: Lines): void {
  process.on(RELOAD, () => {
    if (tls === undefined) return err.write('there is no certificate to read anew: --tls-cert is not set\n');
    try {
      reload();
      err.write(`the certificate in ${tls.cert} is used from here on\n`);
    } catch (error) {
      err.write(`the certificate before stays in use: ${(error as Error).message}\n`);
    }
  });
}
