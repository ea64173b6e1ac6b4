/**
 * Whether files can be where the settings want them, without making any: what `roomwire serve` would trip over at its
 * start, `--check-config` says, too.
 */
import { accessSync, constants, statSync, type Stats } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { CommandError } from './args.js';

/** Throws a CommandError unless there is a directory, or one can be made, and written in. */
export function requireDirectory(setting: string, path: string): void {
  for (let place = resolve(path); ; place = dirname(place)) {
    const stats = statsOf(place);
    if (stats === undefined && place !== dirname(place)) continue;
    if (stats?.isDirectory() !== true) throw new CommandError(`${setting}: ${place} is no directory`);
    requireWritable(setting, place);
    return;
  }
}

/** Throws a CommandError unless there is a file that can be appended to, or one can be made. */
export function requireFile(setting: string, path: string): void {
  const stats = statsOf(path);
  if (stats === undefined) return requireDirectory(setting, dirname(resolve(path)));
  if (stats.isDirectory()) throw new CommandError(`${setting}: ${path} is a directory, not a file`);
  requireWritable(setting, path);
}

/** Undefined also where a part of the way is a file, or may not be looked into: then that part is refused. */
function statsOf(path: string): Stats | undefined {
  try {
    return statSync(path);
  } catch {
    return undefined;
  }
}

function requireWritable(setting: string, path: string): void {
  try {
    accessSync(path, constants.W_OK);
  } catch (error) {
    throw new CommandError(`${setting}: cannot write ${path}: ${(error as Error).message}`);
  }
}
