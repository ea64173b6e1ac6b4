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
    const { outputFiles, metafile } = await build({
      entryPoints: [entry],
      bundle: true,
      minify: true,
      platform: 'browser',
      format: 'esm',
      target: 'es2022',
      write: false,
      metafile: true,
    });
    const code = outputFiles[0]?.contents ?? new Uint8Array();
    const text = new TextDecoder().decode(code);
    const size = gzipSync(code).length;
    t.comment(`${size} bytes gzipped, ${code.length} minified`);
    t.ok(code.length > 0, 'there is a bundle');
    t.ok(size <= MAX_BYTES, `${size} ≤ ${MAX_BYTES} bytes`);
    const bundled = Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs));
    // The server's: what each code means, and the scanner, whose refusals the decoder has too.
    for (const file of ['code-texts', 'scan']) {
      t.notOk(
        bundled.some((name) => name.endsWith(`protocol/${file}.ts`)),
        `without ${file}.ts`,
      );
    }
    for (const word of [/\bnew Function\b/, /\beval\(/, /["']node:/]) t.notOk(word.test(text), `no ${word.source}`);
  },
);
