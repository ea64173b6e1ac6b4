/**
 * One server per data directory. The lock is one the system itself drops when the process ends, in
 * whatever way: no stale lock after `kill -9`, and no guess whether a pid is still the same process.
 * - Linux: an abstract Unix socket named after the directory's device and inode;
 * - Windows: a named pipe;
 * - macOS and BSD: a file opened with O_EXLOCK.
 * server.pid is only for the message. What the lock cannot see (a container with its own network but
 * the same volume) is fenced off by the run id that every commit of lmdb.ts checks.
 */
import { createHash } from 'node:crypto';
import { closeSync, constants, openSync, readFileSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { StoreError } from './store.js';

export interface DirectoryLock {
  /** `ours`: the directory is still the one that was locked, and server.pid this server's. */
  release(ours: boolean): Promise<void>;
}

export async function lockDirectory(path: string): Promise<DirectoryLock> {
  const pidFile = join(path, 'server.pid');
  let unlock: () => Promise<void> | void;
  try {
    unlock = await acquire(path);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EADDRINUSE' && code !== 'EAGAIN') throw error;
    throw new StoreError(
      'unusable',
      `${path} is used by another server (${ownerOf(pidFile)}): stop it or choose another directory`,
      error,
    );
  }
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch (error) {
    await unlock();
    throw error;
  }
  return {
    async release(ours) {
      if (ours) rmSync(pidFile, { force: true });
      await unlock();
    },
  };
}

function ownerOf(pidFile: string): string {
  try {
    return `pid ${readFileSync(pidFile, 'utf8').trim() || 'unknown'}`;
  } catch {
    return 'pid unknown';
  }
}

function acquire(path: string): Promise<() => Promise<void>> | (() => void) {
  if (process.platform === 'linux') {
    const { dev, ino } = statSync(path, { bigint: true });
    return listen(`\0roomwire-store-${dev}-${ino}`);
  }
  if (process.platform === 'win32') {
    const name = createHash('sha256').update(realpathSync.native(path).toLowerCase()).digest('hex');
    return listen(`\\\\.\\pipe\\roomwire-store-${name}`);
  }
  // Node names no constant for it; all the BSDs and macOS have the same number.
  const exclusiveLock = 0x20;
  const flags = constants.O_RDWR | constants.O_CREAT | constants.O_NONBLOCK | exclusiveLock;
  const fd = openSync(join(path, 'server.lock'), flags);
  return () => closeSync(fd);
}

function listen(name: string): Promise<() => Promise<void>> {
  return new Promise((resolve, reject) => {
    const server = createServer((socket) => socket.destroy());
    server.once('error', reject);
    // Exclusive: in a cluster the primary would otherwise listen for all its workers at once.
    server.listen({ path: name, exclusive: true }, () => {
      server.unref();
      resolve(() => new Promise((closed) => server.close(() => closed())));
    });
  });
}
