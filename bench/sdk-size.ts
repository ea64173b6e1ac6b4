/** What a browser loads of the SDK: bundled with its codec, minified and gzipped. */
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build } from 'esbuild';

/** The most it may be, gzipped. */
export const SDK_BUDGET_BYTES = 12 * 1024;
export const sdkEntry = fileURLToPath(new URL('../src/client/index.ts', import.meta.url));

export interface SdkBundle {
  readonly code: string;
  readonly minBytes: number;
  readonly minGzipBytes: number;
  /** The files in it. */
  readonly files: readonly string[];
}

export async function bundleSdk(): Promise<SdkBundle> {
  const { outputFiles, metafile } = await build({
    entryPoints: [sdkEntry],
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    write: false,
    metafile: true,
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array();
  return {
    code: new TextDecoder().decode(bytes),
    minBytes: bytes.length,
    minGzipBytes: gzipSync(bytes).length,
    files: Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)),
  };
}
