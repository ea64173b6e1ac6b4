/**
 * Strict readers of single settings, one for each kind: a value that says one thing and would do another, or could
 * never work, is refused where it comes in, with its name and what to write instead.
 * The command line and the config file lead here, too.
 */

/** The longest wait a client can time: its timers have 31 bits. */
export const LONGEST_MS = 2 ** 31 - 1;
/** Both engines count bytes in 31 bits. */
export const MOST_BYTES = 2 ** 31 - 1;

/** Throws a TypeError. */
export function wholeNumber(name: string, value: unknown, least = 0, most = Number.MAX_SAFE_INTEGER): number {
  if (typeof value === 'number' && Number.isInteger(value) && value >= least && value <= most) return value;
  throw new TypeError(`${name}: takes a whole number from ${least} to ${most}, not ${shown(value)}`);
}

/** Also a part of one. Throws a TypeError. */
export function anyNumber(name: string, value: unknown, least = 0): number {
  if (typeof value === 'number' && Number.isFinite(value) && value >= least) return value;
  throw new TypeError(`${name}: takes a number from ${least} on, not ${shown(value)}`);
}

/** Throws a TypeError. */
export function oneOf<T extends string>(name: string, value: unknown, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value);
  if (found !== undefined) return found;
  throw new TypeError(`${name}: takes ${choices.join(', ')}, not ${shown(value)}`);
}

/** For names that no setting has. Throws a TypeError. */
export function knownNames(name: string, given: object, known: readonly string[]): void {
  const unknown = Object.keys(given).find((key) => !known.includes(key));
  if (unknown !== undefined) throw new TypeError(`${name}.${unknown}: there is no such setting`);
}

/**
 * A web origin as browsers send it, and no other spelling: they are compared as text. Apps in a shell of their own have
 * schemes of their own (`capacitor://localhost`). Throws a TypeError.
 */
export function webOrigin(name: string, value: unknown): string {
  const text = typeof value === 'string' ? value : '';
  const refuse = (why: string): never => {
    throw new TypeError(`${name}: ${shown(value)} is no origin: ${why}`);
  };
  if (text.includes('*')) return refuse('there are no wildcards, name each');
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return refuse('write one such as https://app.example');
  if (['http:', 'https:'].includes(url.protocol)) {
    return url.origin === text ? text : refuse(`write ${url.origin}`);
  }
  if (['ws:', 'wss:', 'ftp:', 'file:'].includes(url.protocol)) return refuse('pages have http, https or an app’s own');
  return /^[a-z][a-z0-9+.-]*:\/\/[a-z0-9._-]+(:\d+)?$/.test(text) ? text : refuse('a scheme and a host, nothing else');
}

/** What was given, for a message: short, in one line. */
function shown(value: unknown): string {
  if (typeof value !== 'string') return typeof value === 'number' ? String(value) : `a ${typeof value}`;
  return `'${value.length > 60 ? `${value.slice(0, 60)}…` : value}'`.replace(/\p{C}/gu, '?');
}
