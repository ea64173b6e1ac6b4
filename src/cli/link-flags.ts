/** What guards a link, from settings that name files. */
import { readFileSync } from 'node:fs';
import type { Security } from '../link/address.js';
import { CommandError } from './args.js';

export interface LinkFlags {
  readonly linkSecret?: string | undefined;
  /** Files. */
  readonly linkCert?: string | undefined;
  readonly linkKey?: string | undefined;
  readonly linkCa?: string | undefined;
  readonly insecureLink?: boolean | undefined;
}

/** Throws a CommandError for a file that cannot be read. */
export function linkSecurity({ linkSecret, linkCert, linkKey, linkCa, insecureLink }: LinkFlags): Security {
  const read = (flag: string, path: string | undefined): string | undefined => {
    try {
      return path === undefined ? undefined : readFileSync(path, 'utf8');
    } catch (error) {
      throw new CommandError(`cannot read ${flag} ${path}: ${(error as Error).message}`);
    }
  };
  return {
    secret: linkSecret,
    cert: read('--link-cert', linkCert),
    key: read('--link-key', linkKey),
    ca: read('--link-ca', linkCa),
    insecure: insecureLink,
  };
}
