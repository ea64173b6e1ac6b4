/** What the package says of itself that a file belongs to: the engine's name and version come from its package.json. */
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

export interface Manifest {
  readonly root: string;
  /** Undefined where there is no package.json, as in a bundle. */
  readonly name?: string;
  readonly version?: string;
}

export function manifestOf(file: string): Manifest {
  let root = dirname(file);
  while (!existsSync(join(root, 'package.json'))) {
    if (dirname(root) === root) return { root: dirname(file) };
    root = dirname(root);
  }
  const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Omit<Manifest, 'root'>;
  return { root, ...(name === undefined ? {} : { name }), ...(version === undefined ? {} : { version }) };
}
