/** The SDK stays small in a browser, and runs under a strict content security policy. */
import { existsSync } from 'node:fs';
import t from 'tap';
import { bundleSdk, SDK_BUDGET_BYTES, sdkEntry } from '../../bench/sdk-size.js';

t.test(
  'the bundled SDK is at most 12 KiB gzipped, without eval and without modules of Node',
  { skip: !existsSync(sdkEntry) && 'there is no src/client/index.ts yet' },
  async (t) => {
    const { code, minBytes, minGzipBytes, files } = await bundleSdk();
    t.comment(`${minGzipBytes} bytes gzipped, ${minBytes} minified`);
    t.ok(minBytes > 0, 'there is a bundle');
    t.ok(minGzipBytes <= SDK_BUDGET_BYTES, `${minGzipBytes} ≤ ${SDK_BUDGET_BYTES} bytes`);
    // The server's: what each code means, and the scanner, whose refusals the decoder has too.
    for (const file of ['code-texts', 'scan']) {
      t.notOk(
        files.some((name) => name.endsWith(`protocol/${file}.ts`)),
        `without ${file}.ts`,
      );
    }
    for (const word of [/\bnew Function\b/, /\beval\(/, /["']node:/]) t.notOk(word.test(code), `no ${word.source}`);
  },
);
