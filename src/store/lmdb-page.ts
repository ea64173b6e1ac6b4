/**
 * One page of LMDB's data file, taken apart without trusting it (data format 2, little-endian): every
 * length and position lies inside the page, and its nodes fill its used part without gap or overlap.
 * Who calls it: lmdb-check.ts.
 */

/** What is wrong, in a few words. */
export class Damage extends Error {}

export const PAGE_HEADER = 24;
const NODE_HEADER = 8;
const BRANCH = 1;
const LEAF = 2;
const OVERFLOW = 4;
const BIG = 1;
const DATABASE = 2;
/** Bytes of a record that describes a tree. */
export const TREE_BYTES = 48;
/** Bytes that stand for a value on overflow pages: page, transaction, number of pages. */
const BIG_BYTES = 24;

export interface Node {
  /** Where its key is in the page. */
  readonly key: number;
  readonly keyEnd: number;
  /** Of a branch: the page below. */
  readonly child: number;
  /** Of a leaf: the value's bytes in the page; for a big one where its pages are said to be. */
  readonly value: number;
  readonly size: number;
  readonly kind: 'value' | 'big' | 'database';
}

export function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at);
}

/** The header that every page has. Throws Damage when it is not this page's, or of a transaction that never was. */
export function checkHeader(bytes: Buffer, number: number, newest: number): void {
  if (readUint64(bytes, 0) !== number) throw new Damage(`page ${number} was overwritten`);
  if (readUint64(bytes, 8) > newest) throw new Damage(`page ${number} is newer than the file`);
}

export function isLeaf(bytes: Buffer, number: number): boolean {
  const flags = bytes.readUInt16LE(18);
  if (flags !== LEAF && flags !== BRANCH) throw new Damage(`page ${number} is broken`);
  return flags === LEAF;
}

export function isOverflowOf(bytes: Buffer, count: number): boolean {
  return bytes.readUInt16LE(18) === OVERFLOW && bytes.readUInt32LE(20) === count;
}

/** A big value's pages. */
export function bigValue(bytes: Buffer, { value, size }: Node, pageBytes: number): { start: number; count: number } {
  const count = readUint64(bytes, value + 16);
  if (count !== Math.floor((PAGE_HEADER - 1 + size) / pageBytes) + 1) throw new Damage('a long value is broken');
  return { start: readUint64(bytes, value), count };
}

/** The page's nodes in order. `sizes`: scratch of as many numbers as the page has bytes, all 0 before and after. */
export function nodesOf(bytes: Buffer, number: number, leaf: boolean, sizes: Uint16Array): Node[] {
  const broken = (): Damage => new Damage(`page ${number} is broken`);
  const { length } = bytes;
  const end = length - PAGE_HEADER;
  // Both count from the end of the header.
  const lower = bytes.readUInt16LE(20);
  const upper = bytes.readUInt16LE(22);
  if (lower % 2 !== 0 || lower > upper || upper > end) throw broken();
  const nodes: Node[] = [];
  for (let slot = PAGE_HEADER; slot < PAGE_HEADER + lower; slot += 2) {
    const at = PAGE_HEADER + bytes.readUInt16LE(slot);
    if (at < PAGE_HEADER + upper || at % 2 !== 0 || at + NODE_HEADER > length) throw broken();
    const size = bytes.readUInt32LE(at);
    const flags = bytes.readUInt16LE(at + 4);
    const key = at + NODE_HEADER;
    const keyEnd = key + bytes.readUInt16LE(at + 6);
    const kind = !leaf || flags === 0 ? 'value' : flags === BIG ? 'big' : flags === DATABASE ? 'database' : undefined;
    if (kind === undefined || (kind === 'database' && size !== TREE_BYTES)) throw broken();
    const nodeEnd = keyEnd + (leaf ? (kind === 'big' ? BIG_BYTES : size) : 0);
    if (nodeEnd > length || sizes[at] !== 0) {
      sizes.fill(0);
      throw broken();
    }
    sizes[at] = nodeEnd - at + ((nodeEnd - at) & 1);
    nodes.push({ key, keyEnd, child: leaf ? 0 : size + flags * 2 ** 32, value: keyEnd, size, kind });
  }
  let left = nodes.length;
  for (let at = PAGE_HEADER + upper; at < length; left--) {
    const size = sizes[at] as number;
    sizes[at] = 0;
    if (size === 0 || left === 0) {
      sizes.fill(0);
      throw broken();
    }
    at += size;
  }
  if (left !== 0) {
    sizes.fill(0);
    throw broken();
  }
  return nodes;
}
