/**
 * Looks through data.mdb before LMDB maps it: LMDB trusts its file, so one that is cut short or
 * overwritten ends the process with SIGSEGV or SIGBUS instead of an error. Follows every page the
 * newest snapshot uses (LMDB's data format 2): keys' and values' bytes are not judged.
 * Who calls it: lmdb.ts at open, while it holds the directory's lock.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';

const magic = 0xbeefc0de;
const format = 2;
const header = 24;
const page = { branch: 1, leaf: 2, overflow: 4, meta: 8, kinds: 0x7f };
const node = { header: 8, big: 1, database: 2 };
const emptyTree = 0xffff_ffff * 2 ** 32 + 0xffff_ffff;

/** What is wrong with the file, in a few words; undefined when nothing was found. */
export function damageOf(file: string): string | undefined {
  // The file has the machine's byte order, and this reads little-endian only.
  if (endianness() !== 'LE') return undefined;
  const fd = openSync(file, 'r');
  try {
    walk(fd, fstatSync(fd).size);
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  } finally {
    closeSync(fd);
  }
}

class Damage extends Error {}

function walk(fd: number, size: number): void {
  if (size === 0) throw new Damage('it is empty');
  const first = readMeta(fd, 0);
  const { pageBytes } = first;
  if (pageBytes < 256 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0)
    throw new Damage('its header is not LMDB’s');
  const second = readMeta(fd, pageBytes);
  const newest = second.transaction > first.transaction ? second : first;
  const pages = Math.floor(size / pageBytes);
  const seen = new Uint8Array(pages);
  const trees = [...newest.roots];
  const bytes = Buffer.allocUnsafe(pageBytes);

  /** Each page belongs to one place of one tree: a second visit is damage too, and ends every loop. */
  const claim = (start: number, count: number): void => {
    if (start + count > pages) throw new Damage(`it is cut short: page ${start} of ${pages} is used`);
    if (start < 2 || seen.subarray(start, start + count).includes(1)) throw new Damage(`page ${start} is used twice`);
    seen.fill(1, start, start + count);
  };
  const read = (number: number, length: number): number => {
    if (readSync(fd, bytes, 0, length, number * pageBytes) !== length)
      throw new Damage(`page ${number} cannot be read`);
    if (readUint64(bytes, 0) !== number) throw new Damage(`page ${number} was overwritten`);
    return bytes.readUInt16LE(18) & page.kinds;
  };

  for (let number = trees.pop(); number !== undefined; number = trees.pop()) {
    if (number === emptyTree) continue;
    claim(number, 1);
    const kind = read(number, pageBytes);
    const broken = (): Damage => new Damage(`page ${number} is broken`);
    if (kind !== page.branch && kind !== page.leaf) throw broken();
    const overflows: { start: number; count: number }[] = [];
    const lower = bytes.readUInt16LE(20);
    if (lower > pageBytes - header) throw broken();
    for (let slot = header; slot + 2 <= header + lower; slot += 2) {
      const at = header + bytes.readUInt16LE(slot);
      if (at + node.header > pageBytes) throw broken();
      const size = bytes.readUInt32LE(at);
      const flags = bytes.readUInt16LE(at + 4);
      const data = at + node.header + bytes.readUInt16LE(at + 6);
      if (kind === page.branch) {
        if (data > pageBytes) throw broken();
        trees.push(size + flags * 2 ** 32);
      } else if ((flags & node.big) !== 0) {
        if (data + 24 > pageBytes) throw broken();
        const count = readUint64(bytes, data + 16);
        if (count !== Math.floor((header - 1 + size) / pageBytes) + 1) throw broken();
        overflows.push({ start: readUint64(bytes, data), count });
      } else {
        if (data + size > pageBytes) throw broken();
        if ((flags & node.database) !== 0 && size === 48) trees.push(readUint64(bytes, data + 40));
      }
    }
    for (const { start, count } of overflows) {
      claim(start, count);
      if (read(start, header) !== page.overflow || bytes.readUInt32LE(20) !== count)
        throw new Damage(`page ${start} is broken`);
    }
  }
}

function readMeta(fd: number, at: number): { pageBytes: number; transaction: number; roots: readonly number[] } {
  const bytes = Buffer.alloc(header + 144);
  if (readSync(fd, bytes, 0, bytes.length, at) !== bytes.length) throw new Damage('it is cut short in its header');
  if ((bytes.readUInt16LE(18) & page.meta) === 0 || bytes.readUInt32LE(24) !== magic)
    throw new Damage('it is not an LMDB file');
  const found = bytes.readUInt32LE(28) & 0xffff;
  if (found !== format) throw new Damage(`it has LMDB’s data format ${found}, not ${format}`);
  const freePages = 48;
  const main = freePages + 48;
  return {
    pageBytes: bytes.readUInt32LE(freePages),
    transaction: readUint64(bytes, 152),
    roots: [readUint64(bytes, freePages + 40), readUint64(bytes, main + 40)],
  };
}

function readUint64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at + 4) * 2 ** 32 + bytes.readUInt32LE(at);
}
