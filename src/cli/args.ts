/** Reading a command's arguments and describing them: one table per command serves parsing and `--help`. */
import { parseArgs } from 'node:util';
import { readSwitch, readWhole } from './values.js';

export interface Flag {
  readonly type: 'string' | 'boolean';
  readonly help: string;
  /** A string that may be given again: its value is a list. */
  readonly many?: boolean;
  /** What stands for the value in the help. */
  readonly value?: string;
  /** Environment variable that gives the value when the flag is not there. */
  readonly env?: string;
  readonly default?: string;
  /** In the help, instead of what `default` and `env` say. */
  readonly note?: string;
}
export type Flags = Readonly<Record<string, Flag>>;
export type FlagValues<F extends Flags> = {
  readonly [K in keyof F]: F[K]['type'] extends 'boolean'
    ? boolean | undefined
    : F[K] extends { readonly many: true }
      ? readonly string[] | undefined
      : string | undefined;
};

export interface Command<F extends Flags = Flags> {
  readonly name: string;
  /** After the name, such as `<topic>`. */
  readonly usage: string;
  readonly summary: string;
  readonly details?: string;
  readonly flags: F;
  /** How many positional arguments it takes. */
  readonly takes: readonly [least: number, most: number];
  run(flags: FlagValues<F>, positionals: readonly string[]): Promise<void>;
}

/** A mistake in the command line: one line and exit code 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

/** A failure the user can do something about: one line and exit code 1. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
}

/** Keeps a command's flags typed. */
export function command<const F extends Flags>(definition: Command<F>): Command {
  return definition;
}

export async function runCommand(definition: Command, args: readonly string[]): Promise<void> {
  const options = Object.fromEntries(
    Object.entries({ ...definition.flags, help: { type: 'boolean' as const } }).map(
      ([name, { type, many = false }]: [string, Pick<Flag, 'type' | 'many'>]) => [name, { type, multiple: many }],
    ),
  );
  let parsed;
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true, strict: true, tokens: true });
  } catch (error) {
    throw new UsageError(
      `${(error as Error).message.split(/\.?\s*\n|\. /)[0]}. See roomwire ${definition.name} --help`,
    );
  }
  if (parsed.values['help'] !== undefined) {
    process.stdout.write(helpFor(definition));
    return;
  }
  const [least, most] = definition.takes;
  const { positionals } = parsed;
  if (positionals.length < least || positionals.length > most) {
    throw new UsageError(`usage: roomwire ${definition.name} ${definition.usage}`);
  }
  const seen = new Set<string>();
  for (const token of parsed.tokens) {
    if (token.kind !== 'option') continue;
    // The last one would count, and the first be believed.
    if (seen.has(token.name) && definition.flags[token.name]?.many !== true)
      throw new UsageError(`--${token.name} is given twice`);
    seen.add(token.name);
  }
  const values: Record<string, string | boolean | readonly string[] | undefined> = {};
  for (const [name, flag] of Object.entries(definition.flags)) {
    const given = parsed.values[name] as string | boolean | readonly string[] | undefined;
    const fromEnv = flag.env === undefined ? undefined : process.env[flag.env];
    // A flag that is not there says nothing: what a config file or the environment says counts then.
    if (flag.type === 'boolean') values[name] = given ?? switchFrom(flag.env, fromEnv);
    else values[name] = given ?? (fromEnv === '' ? undefined : fromEnv) ?? flag.default;
  }
  await definition.run(values as FlagValues<Flags>, positionals);
}

function switchFrom(name: string | undefined, text: string | undefined): boolean | undefined {
  if (text === undefined || text === '') return undefined;
  const value = readSwitch(text);
  if (value === undefined) throw new CommandError(`${name}: takes true or false, not '${text}'`);
  return value;
}

function helpFor({ name, usage, summary, details, flags }: Command): string {
  const rows = Object.entries(flags).map(([flag, { value, help, env, note, default: preset }]) => {
    const left = `  --${flag}${value === undefined ? '' : ` ${value}`}`;
    const notes =
      note ?? [preset === undefined ? '' : `default ${preset}`, env ?? ''].filter((note) => note !== '').join('; ');
    return [left, `${help}${notes === '' ? '' : ` (${notes})`}`] as const;
  });
  rows.push(['  --help', 'show this']);
  const width = Math.max(...rows.map(([left]) => left.length)) + 2;
  const lines = rows.map(([left, right]) => left.padEnd(width) + right);
  return `roomwire ${name} ${usage}\n\n${summary}\n${details === undefined ? '' : `\n${details}\n`}\n${lines.join('\n')}\n`;
}

/** A whole number within bounds. */
export function numberFlag(name: string, text: string | undefined, least: number, most: number): number {
  const value = readWhole(text ?? '');
  if (value === undefined || value < least || value > most) {
    throw new UsageError(`--${name} takes a whole number from ${least} to ${most}, not '${text ?? ''}'`);
  }
  return value;
}

export function choiceFlag<T extends string>(name: string, text: string | undefined, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === text);
  if (found === undefined) throw new UsageError(`--${name} takes ${choices.join(', ')}, not '${text ?? ''}'`);
  return found;
}

/** JSON given as an argument. */
export function jsonArgument(what: string, text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new UsageError(`${what} must be JSON, such as '{"text":"hi"}' (quote it for the shell)`);
  }
}
