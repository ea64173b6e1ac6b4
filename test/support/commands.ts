/** Commands as docs/ print them: a test runs what a reader would, so that the document is what is tested. */
import { readFileSync } from 'node:fs';

export interface Printed {
  /** Variables before the command. */
  readonly env: Readonly<Record<string, string>>;
  /** After `roomwire`. */
  readonly args: readonly string[];
}

/** Those of the first block of shell after `lead`, with each of `put` in place of what it names. */
export function commandsAfter(
  page: string,
  lead: string,
  put: Readonly<Record<string, string>> = {},
): readonly [Printed, ...Printed[]] {
  const text = readFileSync(new URL(`../../docs/${page}`, import.meta.url), 'utf8');
  const at = text.indexOf(lead);
  if (at < 0) throw new Error(`docs/${page} does not say '${lead}'`);
  let [, block = ''] = /```sh\n([^]*?)\n```/.exec(text.slice(at)) ?? [];
  for (const [printed, value] of Object.entries(put)) block = block.replaceAll(printed, value);
  return block.split('\n').map((line) => {
    const [, before = '', args] = /^((?:[A-Z_]+=\S+ )*)roomwire (.+)$/.exec(line) ?? [];
    if (args === undefined) throw new Error(`no command of roomwire: ${line}`);
    const env = Object.fromEntries([...before.matchAll(/([A-Z_]+)=(\S+)/g)].map(([, name, value]) => [name, value]));
    return { env: env as Record<string, string>, args: args.split(' ') };
  }) as unknown as [Printed, ...Printed[]];
}
