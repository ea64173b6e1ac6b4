/** `roomwire decode`: shows the frames of a message given in hex. */
import { readFileSync } from 'node:fs';
import { decodeAll, DecodeError } from '../protocol/codec.js';
import { Op } from '../protocol/frames.js';
import { scanReason } from '../protocol/scan.js';
import { command, CommandError, UsageError } from './args.js';
import { printLine } from './print.js';

const names = new Map<number, string>(Object.entries(Op).map(([name, op]) => [op, name]));

export const decode = command({
  name: 'decode',
  usage: '<hex | ->',
  summary: 'Prints the frames of one WebSocket message, one a line: the opcode and JSON.',
  details: 'The hex may have spaces; - reads it from standard input. Binary values are shown as {"$bin": "<hex>"}.',
  takes: [1, 64],
  flags: {},

  async run(_flags, parts) {
    const text = parts.length === 1 && parts[0] === '-' ? readFileSync(0, 'utf8') : parts.join('');
    const hex = text.replace(/\s+/g, '').replace(/^0x/i, '');
    if (!/^([0-9a-f]{2})+$/i.test(hex)) throw new UsageError('that is not hex: two digits a byte');
    try {
      for (const frame of decodeAll(new Uint8Array(Buffer.from(hex, 'hex')))) {
        const op = names.get(frame[0] as number) ?? 'UNKNOWN';
        printLine(`${op} ${JSON.stringify(frame, showBytes)}`);
      }
    } catch (error) {
      if (!(error instanceof DecodeError)) throw error;
      throw new CommandError(`not a roomwire message: frame ${error.frame}: ${scanReason(error.refusal)}`);
    }
  },
});

function showBytes(_key: string, value: unknown): unknown {
  return value instanceof Uint8Array ? { $bin: Buffer.from(value).toString('hex') } : value;
}
