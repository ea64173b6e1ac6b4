/**
 * Reads the examples of PROTOCOL.md and of protocol/transcript.md: a ```hex block is one WebSocket message, the ```json
 * block after it the list of its frames. `hex client` and `hex server` mark the two sides of the transcript.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('../..', import.meta.url));
export const protocol = readFileSync(`${root}PROTOCOL.md`, 'utf8');
export const transcript = readFileSync(`${root}protocol/transcript.md`, 'utf8');

export interface Example {
  /** Of its ```hex line in the document. */
  readonly line: number;
  readonly side: 'client' | 'server' | undefined;
  readonly bytes: Uint8Array;
  readonly frames: readonly unknown[][];
}

/** Throws when a hex block is not followed by its JSON. */
export function examples(text: string): Example[] {
  const found: Example[] = [];
  for (const block of text.matchAll(/^```hex(?: (client|server))?\n([^`]*)^```\n(?:\n```json\n([^`]*)^```\n)?/gm)) {
    const [, side, hex = '', json] = block;
    const line = text.slice(0, block.index).split('\n').length;
    if (json === undefined) throw new Error(`line ${line}: no json block follows`);
    if (!/^([0-9a-f]{2}\s+)+$/.test(hex)) throw new Error(`line ${line}: not hex`);
    found.push({
      line,
      side: side as Example['side'],
      bytes: new Uint8Array(Buffer.from(hex.replace(/\s/g, ''), 'hex')),
      frames: JSON.parse(json) as unknown[][],
    });
  }
  return found;
}

/** As the document's JSON shows a value: bytes as `{"$bin": "<hex>"}`. */
export function shown(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_key, part: unknown) =>
      part instanceof Uint8Array ? { $bin: Buffer.from(part).toString('hex') } : part,
    ),
  );
}

/** A section, from its heading to the next of the same rank. */
export function section(heading: string): string {
  const start = protocol.indexOf(`\n## ${heading}\n`);
  if (start === -1) throw new Error(`PROTOCOL.md has no section ${heading}`);
  const end = protocol.indexOf('\n## ', start + 1);
  return protocol.slice(start, end === -1 ? undefined : end);
}
