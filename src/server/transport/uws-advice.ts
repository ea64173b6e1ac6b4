/** What is said where the official build of uWebSockets.js, or every build, does not load: what happened, what it costs, what to do. */
import type { EngineInfo } from '../../protocol/http-answers.js';
import { isMusl, minorOf, OFFICIAL, thisSystem, type System, type UwsFailure } from './uws-failure.js';

/**
 * The official releases to install: which glibc their binaries for Linux need, and for which Node they are.
 * docs/operating.md says where each fact is from.
 */
interface Release {
  readonly tag: string;
  readonly glibc: string;
  readonly nodes: readonly number[];
}
const NEWEST: Release = { tag: 'v20.57.0', glibc: '2.38', nodes: [20, 22, 24, 25] };
const RELEASES: readonly Release[] = [NEWEST, { tag: 'v20.52.0', glibc: '2.35', nodes: [20, 22, 24] }];
const PLATFORMS = ['linux x64', 'linux arm64', 'darwin x64', 'darwin arm64', 'win32 x64'];
/** The copy that goes furthest back: for one version of Node, and any glibc that this Node itself runs on. */
const OLDEST = { package: '@trufflesuite/uws-js-unofficial', node: 20, platforms: [...PLATFORMS, 'linux arm'] };

/** For the log, where the engine `ws` is taken because no build loads. */
export function fallbackText(failures: readonly UwsFailure[], ws: EngineInfo, system: System = thisSystem()): string {
  return (
    `${happened(failures, system)} The server runs on ws ${ws.version} instead: all works as it does with the native ` +
    'engine, at about 1.5 times the CPU time for each frame that it sends. ' +
    `${advice(failures, system)} To keep ws without this line, set the engine to "ws".`
  );
}

/** For the error, where the engine `uws` was asked for. */
export function refusalText(failures: readonly UwsFailure[], system: System = thisSystem()): string {
  return `${happened(failures, system)} ${advice(failures, system)} Or set the engine to "ws" or "auto".`;
}

/** For the log, where a copy loads; undefined: the official build is not installed, so nobody expects it. */
export function passedOverText(
  failures: readonly UwsFailure[],
  taken: EngineInfo,
  system: System = thisSystem(),
): string | undefined {
  const official = failures.find((failure) => failure.package === OFFICIAL && failure.why !== 'absent');
  if (official === undefined) return undefined;
  const way = hasOfficial(system) ? ` To avoid that, ${toOfficial(system)}.` : '';
  return (
    `The official build of uWebSockets.js does not load on this system (${shown(system)}): ${clause(official)}. ` +
    `The server runs on the repackaged ${taken.package} ${taken.version} instead.${way}`
  );
}

function happened(failures: readonly UwsFailure[], system: System): string {
  const clauses = failures.filter(({ why, package: name }) => why !== 'absent' || name === OFFICIAL).map(clause);
  const leftOut = absentCopies(failures);
  if (leftOut.length > 0) {
    const [noun, verb] = leftOut.length === 1 ? ['dependency', 'is'] : ['dependencies', 'are'];
    clauses.push(`the optional ${noun} ${listed(leftOut)} ${verb} not installed (left out, as by --omit=optional)`);
  }
  return `No native build of uWebSockets.js loads on this system (${shown(system)}): ${clauses.join('; ')}.`;
}

function shown(system: System): string {
  const { node, platform, arch, glibc } = system;
  const libc = isMusl(system) ? ', musl' : glibc === undefined ? '' : `, glibc ${glibc}`;
  return `Node ${node}, ${platform} ${arch}${libc}`;
}

function clause(failure: UwsFailure): string {
  const name =
    `${failure.package === OFFICIAL ? 'the official build' : failure.package} ${failure.version ?? ''}`.trimEnd();
  switch (failure.why) {
    case 'absent':
      return `${name} is not installed`;
    case 'musl':
      return `${name} needs glibc`;
    case 'glibc':
      return `${name} needs glibc ${failure.needs} or newer`;
    case 'node':
      return failure.nodes.length === 0
        ? `${name} has no binary for this version of Node`
        : `${name} has binaries for Node ${listed(failure.nodes)} only`;
    case 'platform':
      return `${name} has no binary for this platform`;
    case 'imitation':
      return `${name} is not a native build`;
    case 'broken':
      return `${name} fails with "${failure.cause}"`;
  }
}

function absentCopies(failures: readonly UwsFailure[]): readonly string[] {
  return failures.filter(({ why, package: name }) => why === 'absent' && name !== OFFICIAL).map((copy) => copy.package);
}

function advice(failures: readonly UwsFailure[], system: System): string {
  const { node, platform, arch } = system;
  if (isMusl(system)) {
    return `There are no binaries for musl (Alpine Linux). For the native engine, ${toOfficial(system)}.`;
  }
  if (!OLDEST.platforms.includes(`${platform} ${arch}`)) {
    return `There are no binaries for ${platform} ${arch}, so ws is the engine to use.`;
  }
  const ways = hasOfficial(system) ? [toOfficial(system)] : [];
  const isCopyMissing = absentCopies(failures).length > 0;
  if (isCopyMissing && (node === OLDEST.node || releaseFor(system) === NEWEST)) {
    ways.push('install the optional dependencies');
  } else if (node !== OLDEST.node && releaseFor(system) === undefined) {
    ways.push(`use Node ${OLDEST.node} with the optional dependency ${OLDEST.package}`);
  }
  return `For the native engine, ${ways.join(', or ')}.`;
}

function hasOfficial({ platform, arch }: System): boolean {
  return PLATFORMS.includes(`${platform} ${arch}`);
}

/** How to get the official build to load, on a platform that it has binaries for. */
function toOfficial(system: System): string {
  const release = releaseFor(system);
  if (release !== undefined) return install(release.tag);
  if (!RELEASES.some(({ nodes }) => nodes.includes(system.node))) {
    return `use Node 20, 22 or 24 and ${toOfficial({ ...system, node: 24 })}`;
  }
  return `use a Linux with glibc ${NEWEST.glibc} or newer (Debian 13, Ubuntu 24.04) and ${install(NEWEST.tag)}`;
}

function releaseFor(system: System): Release | undefined {
  const { node, glibc } = system;
  if (isMusl(system) || !hasOfficial(system)) return undefined;
  return RELEASES.find(
    (release) => release.nodes.includes(node) && (glibc === undefined || minorOf(glibc) >= minorOf(release.glibc)),
  );
}

function install(tag: string): string {
  return `install the official release ${tag} (npm install uNetworking/uWebSockets.js#${tag})`;
}

function listed(items: readonly (string | number)[]): string {
  return items.length < 2 ? items.join('') : `${items.slice(0, -1).join(', ')} and ${items.at(-1)}`;
}
