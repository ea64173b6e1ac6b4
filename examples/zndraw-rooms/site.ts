/** The pages: one script, bundled when the program starts, which draws /rooms and /rooms/:roomId/:userId. */
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Route } from '@roomwire/server';
import type { App } from './server.js';

const folder = new URL('./page/', import.meta.url);
const headers = {
  'cache-control': 'no-cache',
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'self'; frame-ancestors 'none'; base-uri 'none'",
};

export async function site(server: App): Promise<void> {
  const bundle = await build({
    entryPoints: [fileURLToPath(new URL('app.tsx', folder))],
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    jsx: 'automatic',
    define: { 'process.env.NODE_ENV': '"production"' },
    // Nothing of the folders above: roomwire comes from its package.
    tsconfigRaw: {},
    logLevel: 'warning',
  });
  const script = bundle.outputFiles[0]?.contents ?? new Uint8Array();
  const [html, style, room, icon] = await Promise.all(
    ['index.html', 'style.css', 'room.css', 'favicon.svg'].map((file) => readFile(new URL(file, folder))),
  );
  const file = (path: string, type: string, body: Uint8Array | undefined): Route => ({
    method: 'GET',
    path,
    open: true,
    handle: async () => ({
      status: 200,
      headers: { ...headers, 'content-type': `${type}; charset=utf-8` },
      body: body ?? '',
    }),
  });
  server.plugins.http.routes([
    ...['/', '/rooms', '/rooms/:roomId', '/rooms/:roomId/:userId'].map((path) => file(path, 'text/html', html)),
    file('/app.js', 'text/javascript', script),
    file('/style.css', 'text/css', style),
    file('/room.css', 'text/css', room),
    file('/favicon.svg', 'image/svg+xml', icon),
  ]);
}
