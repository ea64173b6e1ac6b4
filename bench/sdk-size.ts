/**
 * What a browser loads of the SDK: bundled with its codec, minified and gzipped (level 9, as files that are compressed once).
 * As it is published, with short names for its own properties (scripts/pack.mjs).
 */
import { readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { build, transform, type Plugin, type StdinOptions } from 'esbuild';

/** What it may be, gzipped. */
export const SDK_BUDGET_BYTES = 14 * 1024;
export const sdkEntry = fileURLToPath(new URL('../src/client/index.ts', import.meta.url));
/** The same for what `@roomwire/client/react` adds to it. */
export const REACT_BUDGET_BYTES = 3.5 * 1024;
const reactEntry = fileURLToPath(new URL('../src/react/index.ts', import.meta.url));
/** What `@roomwire/client/socket` adds to it. */
export const SOCKET_BUDGET_BYTES = 2 * 1024;
const socketEntry = fileURLToPath(new URL('../src/client/socket/index.ts', import.meta.url));

const ownNames = JSON.parse(
  readFileSync(fileURLToPath(new URL('../scripts/own-names.json', import.meta.url)), 'utf8'),
) as Readonly<Record<string, string>>;
const shortened = { mangleProps: new RegExp(`^(?:${Object.keys(ownNames).join('|')})$`), mangleCache: ownNames };
/** First each file by itself, as it is published; what an application minifies has no types and no other names. */
const asPublished: Plugin = {
  name: 'as published',
  setup(plugins) {
    plugins.onLoad({ filter: /\.ts$/ }, async ({ path }) => {
      const source = await readFile(path, 'utf8');
      const { code } = await transform(source, { loader: 'ts', format: 'esm', target: 'es2022', ...shortened });
      return { contents: code, loader: 'js' };
    });
  },
};

export interface SdkBundle {
  readonly code: string;
  readonly minBytes: number;
  readonly minGzipBytes: number;
  /** The files in it. */
  readonly files: readonly string[];
}

export function bundleSdk(): Promise<SdkBundle> {
  return bundle(sdkEntry, []);
}

/** The hooks alone: React and the SDK are in the application's bundle already. */
export function bundleReact(): Promise<SdkBundle> {
  return bundle(reactEntry, ['react', '../client/*', '../protocol/*']);
}

/** The gzipped bytes that the socket's shape adds to a page that has the SDK. */
export async function socketBytes(): Promise<number> {
  const both = `export * from ${JSON.stringify(sdkEntry)}; export { io, Socket } from ${JSON.stringify(socketEntry)};`;
  const [sdk, withSocket] = await Promise.all([bundleSdk(), bundle({ contents: both, resolveDir: '.' }, [])]);
  return withSocket.minGzipBytes - sdk.minGzipBytes;
}

async function bundle(entry: string | StdinOptions, external: string[]): Promise<SdkBundle> {
  const { outputFiles, metafile } = await build({
    ...(typeof entry === 'string' ? { entryPoints: [entry] } : { stdin: entry }),
    external,
    bundle: true,
    minify: true,
    platform: 'browser',
    format: 'esm',
    target: 'es2022',
    // The hooks' own properties keep their names.
    plugins: entry === reactEntry ? [] : [asPublished],
    write: false,
    metafile: true,
  });
  const bytes = outputFiles[0]?.contents ?? new Uint8Array();
  return {
    code: new TextDecoder().decode(bytes),
    minBytes: bytes.length,
    minGzipBytes: gzipSync(bytes, { level: 9 }).length,
    files: Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)),
  };
}
