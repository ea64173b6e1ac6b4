/** The page that tries it all out: bundled with the SDK as any build would, and a link that signs in to it. */
import { build } from 'esbuild';
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { HttpResponse } from '@roomwire/server';

export async function pageRoutes() {
  const { outputFiles } = await build({
    entryPoints: [fileURLToPath(new URL('page.ts', import.meta.url))],
    bundle: true,
    write: false,
    format: 'esm',
    target: 'es2022',
    logLevel: 'warning',
    tsconfigRaw: '{}',
  });
  const script = (outputFiles[0] as { contents: Uint8Array }).contents;
  return [
    file('/', 'text/html; charset=utf-8', readFileSync(new URL('page.html', import.meta.url))),
    file('/page.js', 'text/javascript; charset=utf-8', script),
  ];
}

function file(path: string, type: string, body: Uint8Array) {
  const headers = { 'content-type': type, 'cache-control': 'no-cache' };
  return {
    method: 'GET' as const,
    path,
    open: true,
    handle: async (): Promise<HttpResponse> => ({ status: 200, headers, body }),
  };
}

/** A token good for a day, where the server sees none of it: behind the #. */
export function signInLink(url: string, secret: string, claims: object): string {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const exp = Math.floor(Date.now() / 1_000) + 86_400;
  const body = `${part({ alg: 'HS256', typ: 'JWT' })}.${part({ ...claims, exp })}`;
  return `${url}/#${body}.${createHmac('sha256', secret).update(body).digest('base64url')}`;
}
