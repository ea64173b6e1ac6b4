/**
 * What commands print: names and data of others, with nothing in it that a terminal obeys or that makes a line look like
 * another. JSON stays the same JSON.
 */

/** Control, bidi and zero-width characters, other line ends, halves of characters. */
const unseen = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Surrogate}]/gu;

/** As JSON escapes: `\u202e`. */
export function escaped(text: string): string {
  return text.replace(unseen, (character) =>
    Array.from(
      { length: character.length },
      (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`,
    ).join(''),
  );
}

export function printLine(line: string): void {
  process.stdout.write(`${escaped(line)}\n`);
}

export function printJson(value: unknown): void {
  printLine(JSON.stringify(value));
}

/** On stderr, beside what is printed. */
export function tell(line: string): void {
  process.stderr.write(`${escaped(line)}\n`);
}
