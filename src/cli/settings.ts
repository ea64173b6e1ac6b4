/**
 * The config's schema as flags, environment variables and lines of help, and the config read from all
 * of them: flags win over the environment, that over the file, that over the defaults. `jwtSecret` is
 * `--jwt-secret` and ROOMWIRE_JWT_SECRET, `limits.graceMs` is `--limits-grace-ms`. PORT, which hosting platforms set, is
 * the port and, unless a host is named, every address.
 */
import { readFileSync } from 'node:fs';
import * as v from 'valibot';
import { messageIn, requireCarriable } from '../protocol/validate.js';
import { CommandError, UsageError, type Flag, type Flags } from './args.js';
import { Config } from './config.js';
import { settingsIn } from './environment.js';
import { readList, readSwitch, readWhole } from './values.js';

type Kind = 'text' | 'number' | 'boolean' | 'list' | 'choice' | 'file';

/** One setting: a leaf of the schema. */
export interface Setting {
  /** Such as `limits.graceMs`. */
  readonly path: string;
  readonly kind: Kind;
  readonly help: string;
  readonly preset: unknown;
  /** Without the dashes; undefined: the file only. */
  readonly flag: string | undefined;
  readonly env: string | undefined;
}

interface Node {
  readonly type: string;
  readonly wrapped?: Node;
  readonly default?: unknown;
  readonly pipe?: readonly Node[];
  readonly entries?: Readonly<Record<string, Node>>;
}

export const settings: readonly Setting[] = walk(Config, '');

function walk({ entries = {} }: Node, prefix: string): Setting[] {
  return Object.entries(entries).flatMap(([name, entry]) => {
    const path = `${prefix}${name}`;
    const inner = entry.wrapped ?? entry;
    if (inner.entries !== undefined) return walk(inner, `${path}.`);
    const kind = kindOf(rootOf(inner));
    const help = v.getDescription(inner as unknown as v.GenericSchema) ?? '';
    const words = path
      .replace(/([a-z])([A-Z])/g, '$1-$2')
      .replaceAll('.', '-')
      .toLowerCase();
    const isFile = kind === 'file';
    return {
      path,
      kind,
      help,
      preset: entry.default,
      flag: isFile ? undefined : kind === 'boolean' && entry.default === true ? `no-${words}` : words,
      env: isFile ? undefined : `ROOMWIRE_${words.replaceAll('-', '_').toUpperCase()}`,
    };
  });
}

function rootOf(node: Node): Node {
  const first = node.pipe?.[0];
  return first === undefined || first === node ? node : rootOf(first);
}

function kindOf({ type }: Node): Kind {
  const kinds: Readonly<Record<string, Kind>> = {
    string: 'text',
    number: 'number',
    boolean: 'boolean',
    array: 'list',
    picklist: 'choice',
  };
  return kinds[type] ?? 'file';
}

/** What an Invalid type means to somebody who wrote text. */
const WANTED: Readonly<Partial<Record<Kind, string>>> = {
  boolean: 'takes true or false: ',
  list: 'takes a list such as A,B, no item of it empty: ',
};

function kindAt(path: string): Kind {
  return settings.find((setting) => setting.path === path)?.kind ?? 'text';
}

/** Where a platform that sets PORT looks for it. */
const ANYWHERE = '0.0.0.0';
const SECRET = /secret|apiKeys/i;

const VALUES: Readonly<Record<Kind, string>> = {
  text: 'TEXT',
  number: 'N',
  list: 'A,B',
  choice: 'NAME',
  boolean: '',
  file: '',
};

/** The flags of a command that takes all settings, without their defaults: those come last of all. */
export function settingFlags(): Flags {
  const flags: Record<string, Flag> = {};
  for (const { flag, env, kind, help, preset } of settings) {
    if (flag === undefined || env === undefined) continue;
    const note = preset === undefined || kind === 'boolean' ? '' : `; default ${shown(preset)}`;
    flags[flag] =
      kind === 'boolean'
        ? { type: 'boolean', help: flag.startsWith('no-') ? `do not ${help}` : help, note: env }
        : { type: 'string', value: VALUES[kind], help, note: `${env}${note}` };
  }
  return flags;
}

/** A default as a person reads it. */
export function shown(preset: unknown): string {
  if (Array.isArray(preset)) return preset.length === 0 ? 'none' : preset.join(',');
  return typeof preset === 'string' ? preset : JSON.stringify(preset);
}

/** Throws a CommandError (file, environment) or UsageError (flags) that names each wrong part. */
export function readSettings(
  given: Readonly<Record<string, string | boolean | undefined>>,
  env: Readonly<Record<string, string | undefined>>,
  file: string | undefined,
): Config {
  const raw = file === undefined ? {} : readFile(file);
  /** By path: where the value came from. */
  const sources = new Map<string, string>();
  const variables = settingsIn(
    env,
    settings.flatMap((setting) => setting.env ?? []),
  );
  for (const setting of settings) {
    if (setting.flag === undefined || setting.env === undefined) continue;
    const fromFlag = given[setting.flag];
    const fromEnv = variables[setting.env];
    if (fromFlag !== undefined) {
      sources.set(setting.path, `--${setting.flag}`);
      put(
        raw,
        setting.path,
        fromFlag === true ? !setting.flag.startsWith('no-') : parsed(setting.kind, String(fromFlag)),
      );
    } else if (fromEnv !== undefined) {
      sources.set(setting.path, setting.env);
      put(raw, setting.path, parsed(setting.kind, fromEnv));
    }
  }
  const { PORT: platformPort = '' } = env;
  if (platformPort !== '' && !sources.has('port')) {
    sources.set('port', 'PORT');
    raw['port'] = parsed('number', platformPort);
    raw['host'] ??= ANYWHERE;
  }
  requireText(raw, file);
  const result = v.safeParse(Config, raw);
  if (result.success) return result.output;
  let isUsage = true;
  const problems = result.issues.map((issue) => {
    const path = v.getDotPath(issue) ?? '';
    const source = sources.get(path) ?? sources.get(path.replace(/\.\d+$/, ''));
    if (source?.startsWith('--') !== true) isUsage = false;
    // What was wrong with a secret is not for the terminal's history.
    const message = SECRET.test(path) ? 'is not right' : `${WANTED[kindAt(path)] ?? ''}${messageIn(issue)}`;
    return `${source ?? `${file ?? 'config'}: ${path}`}: ${message}`;
  });
  const message = `wrong settings: ${problems.join('; ')}`;
  throw isUsage ? new UsageError(`${problems.join('; ')}. See roomwire serve --help`) : new CommandError(message);
}

/** Names with half a character would be settings that nothing ever fits. */
function requireText(raw: Readonly<Record<string, unknown>>, file: string | undefined): void {
  try {
    requireCarriable(raw, { name: 'config' });
  } catch (error) {
    throw new CommandError(`wrong settings: ${file ?? 'config'}: ${(error as Error).message}`);
  }
}

/** What does not fit its kind stays text, for the schema to refuse. */
function parsed(kind: Kind, text: string): unknown {
  switch (kind) {
    case 'number':
      return readWhole(text) ?? text;
    case 'boolean':
      return readSwitch(text) ?? text;
    case 'list':
      return readList(text) ?? text;
    default:
      return text;
  }
}

function put(target: Record<string, unknown>, path: string, value: unknown): void {
  const [name = '', ...rest] = path.split('.');
  if (rest.length === 0) {
    target[name] = value;
    return;
  }
  const inner = target[name];
  const part: Record<string, unknown> = isObject(inner) ? { ...inner } : {};
  target[name] = part;
  put(part, rest.join('.'), value);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function readFile(path: string): Record<string, unknown> {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new CommandError(`cannot read the config ${path}: ${(error as Error).message}`);
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    throw new CommandError(`the config ${path} is not JSON: ${(error as Error).message}`);
  }
  if (!isObject(json)) throw new CommandError(`the config ${path} must be a JSON object`);
  return { ...json };
}
