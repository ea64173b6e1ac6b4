/**
 * Names within sentences: whatever direction or control a name of somebody's has, the words around it stay in their order.
 * A name in an element of its own needs none of this: the style isolates each element.
 */

/** Characters of scripts that run to the left, and the controls that turn text around. */
const turns =
  /[\u0590-\u08ff\u200f\u202a-\u202e\u2066-\u2069\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;
const controls = /[\u202a-\u202e\u2066-\u2069]/g;

/** A name for a sentence: in an isolate of its own, which it cannot leave. */
export function isolated(name: string): string {
  return turns.test(name) ? `\u2068${untwisted(name)}\u2069` : name;
}

/** A sentence of the server's with names in it: its controls show as what they are. */
export function untwisted(sentence: string): string {
  return sentence.replace(controls, (control) => `\\u${control.charCodeAt(0).toString(16)}`);
}
