/** The page at `/`: a few built files, read once, served with a policy that lets them talk to this server only. */
import { readFileSync } from 'node:fs';
import type { HttpRequest, HttpResponse } from '../server/api.js';

const files: Readonly<Record<string, readonly [file: string, type: string]>> = {
  '/': ['index.html', 'text/html; charset=utf-8'],
  '/app.js': ['app.js', 'text/javascript; charset=utf-8'],
  '/style.css': ['style.css', 'text/css; charset=utf-8'],
  '/favicon.svg': ['favicon.svg', 'image/svg+xml'],
};

const headers = {
  'cache-control': 'no-cache',
  'x-content-type-options': 'nosniff',
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'",
  'referrer-policy': 'no-referrer',
};

/** Built beside this module, or, when the sources run as they are, in dist. */
const folders = [new URL('./page/', import.meta.url), new URL('../../dist/http/page/', import.meta.url)];
const loaded = new Map<string, Uint8Array>();

export function pageFile({ method, path }: HttpRequest): HttpResponse | undefined {
  const entry = Object.hasOwn(files, path) ? files[path] : undefined;
  if (entry === undefined || (method !== 'GET' && method !== 'HEAD')) return undefined;
  const [name, type] = entry;
  let content = loaded.get(name);
  if (content === undefined) {
    content = read(name);
    if (content === undefined) return undefined;
    loaded.set(name, content);
  }
  return { status: 200, headers: { ...headers, 'content-type': type }, body: content };
}

function read(name: string): Uint8Array | undefined {
  for (const folder of folders) {
    try {
      // The bundle tells which folder is the built one.
      readFileSync(new URL('app.js', folder));
      return readFileSync(new URL(name, folder));
    } catch {
      continue;
    }
  }
  return undefined;
}
