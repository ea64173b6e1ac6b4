/** Patterns of the vectors: what a value that came has to look like, and the names that values go by (protocol/README.md). */
import { bytesOf } from './vectors.js';

export type Names = Map<string, unknown>;
export type Frame = readonly unknown[];

const NAME = /^\$([a-z][\w.]*)$/;

export function filled(value: unknown, names: Names): unknown {
  if (typeof value === 'string') {
    const [, name] = NAME.exec(value) ?? [];
    if (name !== undefined) return named(name, names);
    return value.replaceAll(/\$\{([\w.]+)\}/g, (_, inner: string) => String(named(inner, names)));
  }
  if (Array.isArray(value)) return value.map((part) => filled(part, names));
  if (typeof value !== 'object' || value === null) return value;
  const { $sum } = value as { $sum?: unknown[] };
  if ('$bin' in value || '$float' in value) return value;
  if ('$text' in value) return String((value as Special).$text?.[0]).repeat(Number((value as Special).$text?.[1]));
  if ($sum !== undefined) return (filled($sum, names) as number[]).reduce((a, b) => a + b, 0);
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [filled(key, names) as string, filled(part, names)]),
  );
}

function named(name: string, names: Names): unknown {
  if (!names.has(name)) throw new TypeError(`$${name} is not bound`);
  return names.get(name);
}

/** A frame may have more elements at its end (RW-FRM-4). */
export function framePattern(pattern: Frame, frame: Frame | undefined): Frame {
  return frame !== undefined && frame.length > pattern.length && pattern.at(-1) !== '$*' ? [...pattern, '$*'] : pattern;
}

/** Says where `value` does not match; binds names. */
export function problem(pattern: unknown, value: unknown, names: Names, path = ''): string | undefined {
  const no = (what: string): string => `${path || 'it'} is ${shown(value)}, not ${what}`;
  if (typeof pattern === 'string') {
    if (pattern === '$_') return value === undefined ? no('there') : undefined;
    const [, name] = NAME.exec(pattern) ?? [];
    if (name !== undefined && !names.has(name)) {
      if (value === undefined) return no('there');
      names.set(name, value);
      return undefined;
    }
    const text = filled(pattern, names);
    return same(text, value) ? undefined : no(shown(text));
  }
  if (Array.isArray(pattern)) {
    if (!Array.isArray(value)) return no('an array');
    const open = pattern.at(-1) === '$*';
    const length = open ? pattern.length - 1 : pattern.length;
    if (open ? value.length < length : value.length !== length) return no(`an array of ${length}`);
    return firstOf(pattern.slice(0, length).map((part, i) => problem(part, value[i], names, `${path}[${i}]`)));
  }
  if (typeof pattern !== 'object' || pattern === null) return same(pattern, value) ? undefined : no(shown(pattern));
  const { $is, min = -Infinity, max = Infinity, $sum, $not, $any, $absent, $bin } = pattern as Special;
  if ($absent) return value === undefined ? undefined : no('absent');
  if ($bin !== undefined) return same(bytesOf($bin), value) ? undefined : no($bin);
  if ($sum !== undefined) return same(filled(pattern, names), value) ? undefined : no(shown(filled(pattern, names)));
  if ($not !== undefined) return problem($not, value, new Map(names), path) === undefined ? no('other') : undefined;
  if ($any !== undefined)
    return $any.some((part) => problem(part, value, names, path) === undefined)
      ? undefined
      : no(`one of ${shown($any)}`);
  if ($is !== undefined) {
    const low = Number(filled(min, names));
    const high = Number(filled(max, names));
    if (!isA($is, value) || (typeof value === 'number' && !(value >= low && value <= high)))
      return no(`${$is} from ${low} to ${high}`);
    return undefined;
  }
  if (!isA('map', value)) return no('a map');
  return firstOf(
    Object.entries(pattern).map(([key, part]) => {
      const own = filled(key, names) as string;
      return problem(part, (value as Record<string, unknown>)[own], names, `${path}.${own}`);
    }),
  );
}

interface Special {
  readonly $is?: string;
  readonly min?: unknown;
  readonly max?: unknown;
  readonly $sum?: unknown[];
  readonly $not?: unknown;
  readonly $any?: unknown[];
  readonly $absent?: boolean;
  readonly $bin?: string;
  /** A text, so often. */
  readonly $text?: readonly [string, number];
}

function isA(kind: string, value: unknown): boolean {
  switch (kind) {
    case 'int':
      return Number.isSafeInteger(value);
    case 'number':
      return typeof value === 'number';
    case 'str':
      return typeof value === 'string';
    case 'bool':
      return typeof value === 'boolean';
    case 'array':
      return Array.isArray(value);
    default:
      return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Uint8Array);
  }
}

function same(a: unknown, b: unknown): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0;
  // A map that was bound to a name, and comes again.
  return Object.is(a, b) || a === b || (typeof a === 'object' && JSON.stringify(a) === JSON.stringify(b));
}

function firstOf(problems: readonly (string | undefined)[]): string | undefined {
  return problems.find((found) => found !== undefined);
}

export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? 'missing').slice(0, 1_000);
}
