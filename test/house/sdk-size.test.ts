/** The SDK stays small in a browser, and runs under a strict content security policy. */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';
import t from 'tap';

const MAX_BYTES = 12 * 1024;
const entry = fileURLToPath(new URL('../../src/client/index.ts', import.meta.url));

t.test(
  'the bundled SDK is at most 12 KiB gzipped, without eval and without modules of Node',
  { skip: !existsSync(entry) && 'there is no src/client/index.ts yet' },
  async (t) => {
    const { outputFiles } = await build({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      platform: 'browser',
      format: 'esm',
      target: 'es2022',
      write: false,
    });
    const code = outputFiles[0]?.contents ?? new Uint8Array();
    const text = new TextDecoder().decode(code);
    const size = gzipSync(code).length;
    t.comment(`${size} bytes gzipped, ${code.length} minified`);
    t.ok(code.length > 0, 'there is a bundle');
    t.ok(size <= MAX_BYTES, `${size} ≤ ${MAX_BYTES} bytes`);
    for (const word of [/\bnew Function\b/, /\beval\(/, /["']node:/]) t.notOk(word.test(text), `no ${word.source}`);
  },
);
