/**
 * Empty projects outside of this repository, in which the tarballs are installed as a user would. npm has a cache of its own,
 * kept for the next run; with the packages in it, nothing is fetched.
 */
import { execFile, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { within } from '../support/until.js';

interface Test {
  teardown(fn: () => unknown): void;
}

export interface Ended {
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export const root = fileURLToPath(new URL('../..', import.meta.url));
const kept = join(root, 'node_modules/.cache/roomwire-packages');
/** A test that hangs ends; npm on a slow line does not. */
const INSTALL_MS = 240_000;
const RUN_MS = 240_000;

/** Without what npm and tap tell their own children: a project is started by a person. */
const env: NodeJS.ProcessEnv = {
  ...Object.fromEntries(
    Object.entries(process.env).filter(([name]) => !/^(npm_|NODE_|TAP|ROOMWIRE_)|^INIT_CWD$/i.test(name)),
  ),
  npm_config_cache: join(kept, 'npm'),
  npm_config_prefer_offline: 'true',
  npm_config_audit: 'false',
  npm_config_fund: 'false',
  npm_config_update_notifier: 'false',
  ...(process.env['npm_config_registry'] === undefined
    ? {}
    : { npm_config_registry: process.env['npm_config_registry'] }),
};

export function run(
  cwd: string,
  [command = '', ...args]: readonly string[],
  { ms = RUN_MS, stdin = '' }: { readonly ms?: number; readonly stdin?: string } = {},
): Promise<Ended> {
  return new Promise((resolve) => {
    const options = { cwd, env, timeout: ms, maxBuffer: 1 << 24, killSignal: 'SIGKILL' } as const;
    const child = execFile(command, args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : Number(error.code ?? 1), stdout, stderr });
    });
    child.stdin?.end(stdin);
  });
}

/** The tarballs of what is built: the client's, the server's. */
export async function packed(t: Test): Promise<readonly [client: string, server: string]> {
  const directory = temporary(t);
  const { status, stdout, stderr } = await run(root, [process.execPath, join(root, 'scripts/pack.mjs'), directory]);
  const [client, server] = stdout.trim().split('\n');
  if (status !== 0 || client === undefined || server === undefined) throw new Error(stdout + stderr);
  return [client, server];
}

/** A folder in which `npm install` was told these. Rejects with npm's own words. */
export async function project(
  t: Test,
  specs: readonly string[],
  {
    flags = [],
    files = {},
  }: { readonly flags?: readonly string[]; readonly files?: Readonly<Record<string, string>> } = {},
): Promise<string> {
  const directory = temporary(t);
  writeFileSync(join(directory, 'package.json'), '{ "name": "empty", "private": true, "type": "module" }\n');
  for (const [name, text] of Object.entries(files)) writeFileSync(join(directory, name), text);
  await install(directory, [...flags, ...specs]);
  return directory;
}

async function install(directory: string, args: readonly string[]): Promise<void> {
  const { status, stderr } = await run(directory, ['npm', 'install', ...args], { ms: INSTALL_MS });
  if (status !== 0) throw new Error(`npm install ${args.join(' ')}: ${stderr}`);
}

/** Why nothing can be installed here, where that is allowed: CI requires it. */
export const unreachable: string | false =
  process.env['ROOMWIRE_REQUIRE_REGISTRY'] !== '1' &&
  !(await reachable()) &&
  'npm reaches no registry, and its packages are not in the cache';

async function reachable(): Promise<boolean> {
  mkdirSync(kept, { recursive: true });
  const { status } = await run(kept, ['npm', 'view', 'valibot', 'version', '--fetch-retries=0'], { ms: 30_000 });
  return status === 0;
}

/** The `node` of these versions, which the registry has as packages; kept, as they are large. */
export async function nodes(versions: readonly string[]): Promise<readonly string[]> {
  const directory = join(kept, 'node');
  const binary = (version: string): string => join(directory, 'node_modules', `node-${version}`, 'bin/node');
  const missing = versions.filter((version) => !existsSync(binary(version)));
  if (missing.length > 0) {
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, 'package.json'), '{ "private": true }\n');
    const name = `node-${process.platform}-${process.arch}`;
    await install(directory, ['--no-save', ...versions.map((version) => `node-${version}@npm:${name}@${version}`)]);
  }
  return versions.map(binary);
}

/** Starts `roomwire serve` with these arguments; the address it names. */
export async function serve(t: Test, cwd: string, [command = '', ...args]: readonly string[]): Promise<string> {
  // A group of its own: npx starts another process.
  const child = spawn(command, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
  t.teardown(() => {
    try {
      process.kill(-(child.pid ?? 0), 'SIGKILL');
    } catch {
      // It ended by itself.
    }
  });
  let printed = '';
  const address = new Promise<string>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (bytes) => {
        printed += String(bytes);
        const found = /on (http:\/\/[\w.:]+)\//.exec(printed)?.[1];
        if (found !== undefined) resolve(found);
      });
    }
    child.on('close', () => reject(new Error(`${command} ${args.join(' ')} ended: ${printed}`)));
  });
  return within(address, `the address of ${command} ${args.join(' ')}`);
}

/** The programs that the docs print, by their first line: `// server.ts`. */
export function printedIn(document: string): Readonly<Record<string, string>> {
  const text = readFileSync(join(root, document), 'utf8');
  return Object.fromEntries(
    [...text.matchAll(/```tsx?\n(\/\/ (\w+\.tsx?)[^]*?)```/g)].map(([, code = '', name = '']) => [name, code]),
  );
}

function temporary(t: Test): string {
  const directory = mkdtempSync(join(tmpdir(), 'roomwire-packages-'));
  t.teardown(() => rmSync(directory, { recursive: true, force: true, maxRetries: 3 }));
  return directory;
}
