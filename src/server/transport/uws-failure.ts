/**
 * Why a build of uWebSockets.js does not load: from the error, the binaries that its package has, and the
 * system. Each binary fits one version of Node and one C library, so the reason is seldom a bug.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** The official package, by the name in its package.json. */
export const OFFICIAL = 'uWebSockets.js';

export interface System {
  /** Major version. */
  readonly node: number;
  /** Version of Node's binary interface, NODE_MODULE_VERSION. */
  readonly abi: string;
  readonly platform: string;
  readonly arch: string;
  /** Such as 2.36; of Linux alone. */
  readonly glibc?: string | undefined;
}

export type Why =
  /** `imitation`: it loads, and is no native build. */
  | { readonly why: 'absent' | 'musl' | 'platform' | 'imitation' }
  | { readonly why: 'glibc'; readonly needs: string }
  /** `nodes`: the versions of Node that it has binaries for, on this platform. */
  | { readonly why: 'node'; readonly nodes: readonly number[] }
  | { readonly why: 'broken'; readonly cause: string };

export type UwsFailure = { readonly package: string; readonly version?: string } & Why;

/** Node's major version by that of its binary interface, where this server runs on it. */
const NODES: Readonly<Record<string, number>> = { 115: 20, 127: 22, 137: 24, 141: 25 };

export function thisSystem(): System {
  const { platform, arch, versions } = process;
  return {
    node: Number(versions.node.split('.')[0]),
    abi: versions.modules,
    platform,
    arch,
    glibc: platform === 'linux' ? glibcVersion() : undefined,
  };
}

function glibcVersion(): string | undefined {
  const report = process.report as typeof process.report & { excludeNetwork?: boolean };
  const before = report.excludeNetwork ?? false;
  // Else the report looks up the name of every open connection's peer.
  report.excludeNetwork = true;
  const { header } = report.getReport() as unknown as { readonly header: { readonly glibcVersionRuntime?: string } };
  report.excludeNetwork = before;
  return header.glibcVersionRuntime;
}

/** Node runs on Linux with glibc or with musl. */
export function isMusl({ platform, glibc }: System): boolean {
  return platform === 'linux' && glibc === undefined;
}

/** `root`: the folder of the package whose load threw. */
export function whyNot(error: unknown, root: string, system: System = thisSystem()): Why {
  const { abi, platform, arch } = system;
  if (isMusl(system)) return { why: 'musl' };
  const message = error instanceof Error ? error.message : String(error);
  const missed = /GLIBC_([\d.]+)' not found(?: \(required by ([^)]+)\))?/.exec(message);
  // The loader names the first version that it misses. What the binary needs is the highest that it names.
  if (missed !== null) return { why: 'glibc', needs: neededGlibc(missed[2]) ?? (missed[1] as string) };
  const binaries = binariesIn(root);
  const abis = binaries.filter((name) => name.startsWith(`uws_${platform}_${arch}_`)).map((name) => name.split('_')[3]);
  if (abis.includes(abi) || binaries.length === 0) return { why: 'broken', cause: causeIn(message) };
  return abis.length === 0 ? { why: 'platform' } : { why: 'node', nodes: abis.flatMap((of = '') => NODES[of] ?? []) };
}

/** Their names without the ending; the copies have them in different places. */
function binariesIn(root: string): readonly string[] {
  return [root, join(root, 'binaries')]
    .flatMap((folder) => (existsSync(folder) ? readdirSync(folder) : []))
    .filter((name) => /^uws_\w+\.node$/.test(name))
    .map((name) => name.slice(0, -'.node'.length));
}

function neededGlibc(file: string | undefined): string | undefined {
  if (file === undefined || !existsSync(file)) return undefined;
  const named = readFileSync(file, 'latin1').matchAll(/GLIBC_(2\.\d+)\b/g);
  return [...named]
    .map(([, version]) => version as string)
    .sort((a, b) => minorOf(a) - minorOf(b))
    .at(-1);
}

/** All versions of glibc are 2.x. */
export function minorOf(glibc: string): number {
  return Number(glibc.split('.')[1]);
}

/** The builds put their own advice before it, and Node the files that asked after it. */
function causeIn(message: string): string {
  const lines = message.split('\n').map((line) => line.trim());
  const told = lines.filter((line) => line !== '' && line !== 'Require stack:' && !line.startsWith('- '));
  return (told.at(-1) ?? message).replace(/^Error: /, '');
}
