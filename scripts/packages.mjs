/**
 * The packages that are published. Their names, versions, entries and dependencies stand in their package.json; here is
 * what of src/ each holds. Whatever else needs a name takes it from here.
 */
import { readFileSync } from 'node:fs';

export const root = new URL('../', import.meta.url);

/** `parts`: folders of dist/. A part that the client has is not in the server's package. */
export const client = {
  folder: 'packages/client/',
  parts: ['client', 'protocol', 'react'],
  ...manifest('packages/client/'),
};
export const server = { folder: './', ...manifest('./') };

function manifest(folder) {
  const parsed = JSON.parse(readFileSync(new URL(`${folder}package.json`, root), 'utf8'));
  return { manifest: parsed, name: parsed.name };
}
