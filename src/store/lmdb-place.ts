/**
 * The place of the store on this machine: whether it can be there at all, and whether the file that was
 * opened is still the one at its path. A server whose directory was removed or replaced would go on
 * writing into a file that nobody finds again. Who calls it: lmdb.ts.
 */
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { StoreError } from './store.js';

/** What the process may need of its address space beside the map. */
const ROOM_BYTES = 256 * 2 ** 20;

export const dataFile = (path: string): string => join(path, 'data.mdb');

/** Makes the directory when it is missing. Throws `unusable`. */
export function ensureDirectory(path: string): void {
  try {
    mkdirSync(path, { recursive: true });
    accessSync(path, constants.R_OK | constants.W_OK | constants.X_OK);
    for (const file of [dataFile(path), join(path, 'lock.mdb')]) {
      if (existsSync(file)) accessSync(file, constants.R_OK | constants.W_OK);
    }
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why =
      code === 'EEXIST' || code === 'ENOTDIR' ? 'a file is in its place' : `this user cannot write there (${code})`;
    throw new StoreError(
      'unusable',
      `${path} cannot hold a store: ${why}: choose a directory this server may write to`,
      error,
    );
  }
}

/** Throws `unusable` when the file cannot be mapped: the engine would end the process with SIGSEGV. */
export function requireAddressSpace(path: string, mapSize: number): void {
  const left = addressSpaceLeft();
  const file = dataFile(path);
  const needed = Math.max(mapSize, existsSync(file) ? statSync(file).size : 0) + ROOM_BYTES;
  if (left === undefined || left >= needed) return;
  throw new StoreError(
    'unusable',
    `${file} cannot be mapped: it takes ${gib(needed)} of address space, and this process may have ${gib(left)} more: ` +
      'raise the limit (ulimit -v, RLIMIT_AS, systemd’s LimitAS), or run with the memory store',
  );
}

/** Undefined: there is no limit, or the system does not say. */
function addressSpaceLeft(): number | undefined {
  try {
    const limit = /^Max address space\s+(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1];
    const used = /^VmSize:\s+(\d+) kB/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
    return limit === undefined || used === undefined ? undefined : Number(limit) - Number(used) * 1024;
  } catch {
    return undefined;
  }
}

const gib = (bytes: number): string => `${(Math.max(0, bytes) / 2 ** 30).toFixed(1)} GiB`;

/** Which file was opened. */
export class Place {
  readonly #path: string;
  readonly #device: bigint;
  readonly #file: bigint;
  #bytes: bigint;

  constructor(path: string) {
    this.#path = path;
    const { dev, ino, size } = statSync(dataFile(path), { bigint: true });
    this.#device = dev;
    this.#file = ino;
    this.#bytes = size;
  }

  /** Why the store must not be used on; undefined: it is where it was. */
  lost(): StoreError | undefined {
    const file = dataFile(this.#path);
    const why = this.#change(file);
    if (why === undefined) return undefined;
    return new StoreError(
      'unusable',
      `${file} was ${why} while this server ran, so nothing that it writes is kept: start it again, on a directory that nobody touches meanwhile`,
    );
  }

  #change(file: string): string | undefined {
    try {
      const { dev, ino, size } = statSync(file, { bigint: true });
      if (dev !== this.#device || ino !== this.#file) return 'replaced';
      // It only grows; what is mapped beyond its end would end the process.
      if (size < this.#bytes) return 'cut short';
      this.#bytes = size;
      return undefined;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      // Anything else, such as too many open files, says nothing of the file.
      return code === 'ENOENT' || code === 'ENOTDIR' ? 'removed' : undefined;
    }
  }
}
