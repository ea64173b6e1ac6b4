/**
 * The variables named ROOMWIRE_…: what `roomwire serve` reads of them. A name that nothing reads is a mistake, such as
 * a misspelt setting; but Kubernetes puts names of its own into every container, made of the names of services.
 */
import { CommandError } from './args.js';

type Variables = Readonly<Record<string, string | undefined>>;

const PREFIX = 'ROOMWIRE_';
/** The key that those who ask a server send: the Python module, and the other commands. */
export const ASKERS_KEY = 'ROOMWIRE_API_KEY';
/** Of those who ask a server, of other commands, and of the tests of this repository, which start this one. */
const OTHERS = [
  ASKERS_KEY,
  'ROOMWIRE_CONFIG',
  'ROOMWIRE_HUB',
  'ROOMWIRE_EDGE_NAME',
  'ROOMWIRE_SHARED',
  'ROOMWIRE_EDGE',
  'ROOMWIRE_URL',
  'ROOMWIRE_TOKEN',
  'ROOMWIRE_STORE',
  'ROOMWIRE_ATTACKS',
  'ROOMWIRE_CHROMIUM',
];
const OTHERS_BEGIN = /^ROOMWIRE_(REQUIRE|TEST|BENCH)_/;

/** What Kubernetes tells of a service called `roomwire`, or `roomwire-…`, and its like. */
function isOfService(name: string, value: string): boolean {
  if (/_SERVICE_HOST$|_SERVICE_PORT(_[A-Z0-9_]+)?$|_PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?$/.test(name))
    return true;
  return name.endsWith('_PORT') && /^(tcp|udp|sctp):\/\//.test(value);
}

/** The settings among them, without those that are empty. Throws a CommandError for a name that nothing reads. */
export function settingsIn(env: Variables, known: readonly string[]): Readonly<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.toUpperCase().startsWith(PREFIX) || value === undefined || value === '') continue;
    if (isOfService(name, value) || OTHERS.includes(name) || OTHERS_BEGIN.test(name)) continue;
    if (!known.includes(name)) {
      const near = nearest(name, known);
      const hint = near === undefined ? 'roomwire serve --help lists them' : `did you mean ${near}?`;
      throw new CommandError(`${name}: there is no such setting: ${hint}`);
    }
    found[name] = value;
  }
  return found;
}

/**
 * One environment may be the server's and its backend's: the backend's key is then one of the server's. Throws a
 * CommandError for another one: ROOMWIRE_API_KEYS is meant, or the backend would be refused.
 */
export function requireSharedKey(env: Variables, apiKeys: readonly string[]): void {
  const key = env[ASKERS_KEY] ?? '';
  if (key === '' || apiKeys.some((own) => own === key || own.slice(own.indexOf('=') + 1) === key)) return;
  throw new CommandError(
    `${ASKERS_KEY}: is the key that a backend sends, and none of this server's: list it in ROOMWIRE_API_KEYS too, such as backend=…`,
  );
}

/** The name that a slip of the keyboard made this one of; undefined when it is too far off. */
function nearest(name: string, known: readonly string[]): string | undefined {
  let best: string | undefined;
  let least = 4;
  for (const each of known) {
    const distance = distanceOf(name.toUpperCase(), each);
    if (distance < least) [best, least] = [each, distance];
  }
  return best;
}

/** Levenshtein's. */
function distanceOf(one: string, other: string): number {
  let row = Array.from({ length: other.length + 1 }, (_, i) => i);
  for (let i = 1; i <= one.length; i++) {
    const next = [i];
    for (let j = 1; j <= other.length; j++) {
      const same = (row[j - 1] as number) + (one[i - 1] === other[j - 1] ? 0 : 1);
      next.push(Math.min(same, (row[j] as number) + 1, (next[j - 1] as number) + 1));
    }
    row = next;
  }
  return row[other.length] as number;
}
