/** The SDK stays small in a browser, and runs under a strict content security policy. */
import { existsSync } from 'node:fs';
import t from 'tap';
import {
  bundleReact,
  bundleSdk,
  REACT_BUDGET_BYTES,
  SDK_BUDGET_BYTES,
  sdkEntry,
  SOCKET_BUDGET_BYTES,
  socketBytes,
} from '../../bench/sdk-size.js';

t.test(
  'the SDK as it is published, bundled, is at most 14,336 bytes gzipped, without eval and without modules of Node',
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

t.test('the hooks of @roomwire/client/react add at most 3.5 KiB gzipped, and import React alone', async (t) => {
  const { code, minBytes, minGzipBytes } = await bundleReact();
  t.comment(`${minGzipBytes} bytes gzipped, ${minBytes} minified`);
  t.ok(minBytes > 0, 'there is a bundle');
  t.ok(minGzipBytes <= REACT_BUDGET_BYTES, `${minGzipBytes} ≤ ${REACT_BUDGET_BYTES} bytes`);
  const imported = [...code.matchAll(/from"([^"]+)"/g)].map(([, name]) => name);
  t.same(
    [...new Set(imported)].sort(),
    ['../protocol/errors.js', 'react'],
    'and of the SDK what every bundle of it has',
  );
});

t.test("Socket.IO's shape in @roomwire/client/socket adds at most 2 KiB gzipped to the SDK", async (t) => {
  const bytes = await socketBytes();
  t.ok(bytes > 0 && bytes <= SOCKET_BUDGET_BYTES, `${bytes} ≤ ${SOCKET_BUDGET_BYTES} bytes`);
});
