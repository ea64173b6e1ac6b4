/** What the inputs of a contract say of values that do not fit: each sentence, with the field that it is about. */
import * as v from 'valibot';
import { sentenceOf } from '../../src/protocol/validate.js';

const WRONG = [undefined, null, true, 7, -1.5, '', ' ', 'a b/c', '.', 'x'.repeat(5_000), '\u200b', [], [''], {}];

interface Refusal {
  readonly field: string;
  readonly sentence: string;
}

/** For each wrong value of each field, alone and with the others missing; for what is no input at all; and for a field too many. */
export function refusalsOf(schema: v.GenericSchema): Refusal[] {
  const { entries = {} } = schema as { readonly entries?: Readonly<Record<string, unknown>> };
  const inputs: unknown[] = [...WRONG, { unheardOf: 1 }];
  for (const name of Object.keys(entries)) inputs.push(...WRONG.map((value) => ({ [name]: value })));
  return inputs.flatMap((input) => {
    const { issues = [] } = v.safeParse(schema, input, { abortPipeEarly: true });
    return issues.map((issue) => ({ field: v.getDotPath(issue) ?? '', sentence: sentenceOf(issue) }));
  });
}

/** Whether a sentence names its field more than once. */
export function isDoubled({ field, sentence }: Refusal): boolean {
  const name = field.split('.').findLast((part) => !/^\d+$/.test(part));
  // `Invalid type: …` is the library's, whatever the field is called.
  const own = sentence.replace(/Invalid [a-z]+: .*/, '');
  return name !== undefined && own.split(/[^\w$]+/).filter((word) => word === name).length > 1;
}
