/**
 * Looks through data.mdb before LMDB maps it: LMDB trusts its file, so one flipped bit may end the
 * process with SIGSEGV, or send a cursor round in circles. Walks every page that the newest snapshot
 * uses, and takes nothing for granted that LMDB does: which pages there are and whose, the order of
 * keys, the counts, the list of free pages. What stands in keys and values is judged by
 * lmdb-contents.ts. Who calls it: lmdb.ts at open, while it holds the directory's lock.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs';
import { endianness } from 'node:os';
import type { Contents } from './lmdb-contents.js';
import {
  bigValue,
  checkHeader,
  Damage,
  isLeaf,
  isOverflowOf,
  nodesOf,
  PAGE_HEADER,
  readUint64,
  TREE_BYTES,
  type Node,
} from './lmdb-page.js';

const MAGIC = 0xbeefc0de;
const FORMAT = 2;
const META = 8;
const INTEGER_KEYS = 8;
const NO_PAGE = 0xffff_ffff * 2 ** 32 + 0xffff_ffff;
/** LMDB's own limit. */
const MOST_DEEP = 32;
const MOST_KEY_BYTES = 1_978;
/** Pages that the engine may have set aside and then neither used nor noted as free. */
const LOST_PAGES = 4_096;

/** What is wrong with the file, in a few words; undefined when nothing was found. */
export function damageOf(file: string, contents: Contents): string | undefined {
  // The file has the machine's byte order, and this reads little-endian only.
  if (endianness() !== 'LE') return undefined;
  const fd = openSync(file, 'r');
  try {
    new Walk(fd, fstatSync(fd).size, contents).run();
    return undefined;
  } catch (error) {
    if (error instanceof Damage) return error.message;
    throw error;
  } finally {
    closeSync(fd);
  }
}

interface Tree {
  readonly name: string | undefined;
  readonly depth: number;
  readonly branches: number;
  readonly leaves: number;
  readonly overflows: number;
  readonly entries: number;
  readonly root: number;
}

interface Meta {
  readonly pageBytes: number;
  readonly transaction: number;
  readonly lastPage: number;
  readonly boot: bigint;
  readonly free: Tree;
  readonly main: Tree;
}

/** What was found of a tree so far. */
class Found {
  branches = 0;
  leaves = 0;
  overflows = 0;
  entries = 0;
  last: Buffer | undefined;
}

class Walk {
  readonly #fd: number;
  readonly #size: number;
  readonly #contents: Contents;
  readonly #meta: Meta;
  readonly #pages: number;
  /** By page: 1 used, 2 free. */
  readonly #owners: Uint8Array;
  #freeBeyond = 0;
  readonly #sizes: Uint16Array;
  /** A page's bytes by depth: those above are still needed. */
  readonly #buffers: Buffer[] = [];

  constructor(fd: number, size: number, contents: Contents) {
    this.#fd = fd;
    this.#size = size;
    this.#contents = contents;
    this.#meta = this.#newest();
    const { pageBytes } = this.#meta;
    this.#pages = Math.floor(size / pageBytes);
    this.#owners = new Uint8Array(this.#pages);
    this.#sizes = new Uint16Array(pageBytes);
  }

  run(): void {
    const { free, main, lastPage } = this.#meta;
    const tables: Tree[] = [];
    this.#tree(main, (bytes, node) => {
      // The engine writes names with C's zero at their end.
      const name = bytes.toString('latin1', node.key, node.keyEnd).replace(/\0$/, '');
      if (node.kind !== 'database' || !this.#contents.knows(name)) throw new Damage(`a table '${name}' is not ours`);
      tables.push(treeAt(bytes, node.value, 0, name));
    });
    for (const table of tables) {
      const { name = '' } = table;
      this.#tree(table, (bytes, node) => {
        if (node.kind === 'database') throw new Damage(`the table '${name}' is broken`);
        this.#contents.entry(name, bytes.subarray(node.key, node.keyEnd), () => this.#value(bytes, node));
      });
    }
    this.#tree(free, (bytes, node) => this.#freed(bytes, node));
    // A page that the file does not have yet must be noted as free.
    if (lastPage + 1 - this.#pages > this.#freeBeyond + LOST_PAGES) throw new Damage('it is cut short');
    this.#contents.end();
  }

  // ---- the two headers ----------------------------------------------------------------------------

  #newest(): Meta {
    if (this.#size === 0) throw new Damage('it is empty');
    const first = this.#readMeta(0, 0);
    const { pageBytes } = first;
    const second = this.#readMeta(pageBytes, 1);
    const { transaction: a } = first;
    const { transaction: b } = second;
    if (second.pageBytes !== pageBytes) throw new Damage('its two headers differ');
    // They are written in turn. After a power cut one may be older, but then it is of an earlier boot.
    const inTurn = (a === 0 && b === 0) || (Math.abs(a - b) === 1 && a % 2 === 0);
    if (!inTurn && (first.boot === second.boot || (a !== 0 && a % 2 !== 0) || (b !== 0 && b % 2 === 0)))
      throw new Damage('its two headers do not follow each other');
    return b > a ? second : first;
  }

  #readMeta(at: number, number: number): Meta {
    const bytes = Buffer.alloc(PAGE_HEADER + 144);
    if (readSync(this.#fd, bytes, 0, bytes.length, at) !== bytes.length)
      throw new Damage('it is cut short in its header');
    if (bytes.readUInt16LE(18) !== META || bytes.readUInt32LE(24) !== MAGIC) throw new Damage('it is not an LMDB file');
    const found = bytes.readUInt32LE(28);
    if (found !== FORMAT) throw new Damage(`it has LMDB’s data format ${found}, not ${FORMAT}`);
    if (readUint64(bytes, 0) !== number) throw new Damage('its header was overwritten');
    const pageBytes = bytes.readUInt32LE(48);
    if (pageBytes < 256 || pageBytes > 65_536 || (pageBytes & (pageBytes - 1)) !== 0)
      throw new Damage('its header is not LMDB’s');
    return {
      pageBytes,
      transaction: readUint64(bytes, 152),
      lastPage: readUint64(bytes, 144),
      boot: bytes.readBigUInt64LE(160),
      free: treeAt(bytes, 48, INTEGER_KEYS, undefined),
      main: treeAt(bytes, 48 + TREE_BYTES, 0, undefined),
    };
  }

  // ---- trees --------------------------------------------------------------------------------------

  #tree(tree: Tree, each: (bytes: Buffer, node: Node) => void): void {
    const found = new Found();
    if (tree.root !== NO_PAGE) {
      if (tree.depth < 1 || tree.depth > MOST_DEEP) throw new Damage('a tree has no depth');
      this.#below(tree.root, { tree, found, each, level: 1, low: undefined, high: undefined });
    }
    const { branches, leaves, overflows, entries } = found;
    if (
      branches !== tree.branches ||
      leaves !== tree.leaves ||
      overflows !== tree.overflows ||
      entries !== tree.entries
    )
      throw new Damage(`the table '${tree.name ?? 'free'}' does not hold what it says`);
  }

  #below(number: number, place: Place): void {
    const { tree, found, each, level, low, high } = place;
    this.#claim(number, 1, 1);
    const bytes = (this.#buffers[level] ??= Buffer.allocUnsafe(this.#meta.pageBytes));
    this.#read(bytes, number);
    checkHeader(bytes, number, this.#meta.transaction);
    const leaf = isLeaf(bytes, number);
    if (leaf !== (level === tree.depth)) throw new Damage(`page ${number} is at the wrong place`);
    const nodes = nodesOf(bytes, number, leaf, this.#sizes);
    const broken = (): Damage => new Damage(`page ${number} has its keys out of order`);
    if (nodes.length < (leaf ? 1 : 2)) throw new Damage(`page ${number} is broken`);
    if (leaf) {
      found.leaves++;
      for (const node of nodes) {
        const { key, keyEnd } = node;
        if (keyEnd === key || keyEnd - key > MOST_KEY_BYTES) throw broken();
        if (found.last !== undefined && this.#compare(tree, found.last, bytes, key, keyEnd) >= 0) throw broken();
        found.last = Buffer.from(bytes.subarray(key, keyEnd));
        found.entries++;
        if (node.kind === 'big') this.#claimBig(bytes, node, found);
        each(bytes, node);
      }
      const { key, keyEnd } = nodes[0] as Node;
      if (low !== undefined && this.#compare(tree, low, bytes, key, keyEnd) > 0) throw broken();
      if (high !== undefined && this.#compare(tree, high, bytes, 0, -1, found.last) <= 0) throw broken();
      return;
    }
    found.branches++;
    // The first node's key means nothing: all that is less than the second's is below it.
    const bounds = nodes.map(({ key, keyEnd }, i) => (i === 0 ? low : Buffer.from(bytes.subarray(key, keyEnd))));
    nodes.forEach(({ child }, i) => {
      const bound = bounds[i];
      if (i > 0 && (bound === undefined || bound.length === 0 || bound.length > MOST_KEY_BYTES)) throw broken();
      this.#below(child, { ...place, level: level + 1, low: bound, high: i + 1 < nodes.length ? bounds[i + 1] : high });
    });
  }

  /** Like Buffer.compare of `a` and the bytes from `key` to `keyEnd`, or of `a` and `b`. */
  #compare(tree: Tree, a: Buffer, bytes: Buffer, key: number, keyEnd: number, b?: Buffer): number {
    const other = b ?? bytes.subarray(key, keyEnd);
    if (tree.name !== undefined || tree !== this.#meta.free) return Buffer.compare(a, other);
    if (a.length !== 8 || other.length !== 8) throw new Damage('the list of free pages is broken');
    return readUint64(a, 0) - readUint64(other, 0);
  }

  #claimBig(bytes: Buffer, node: Node, found: Found): void {
    const { pageBytes, transaction } = this.#meta;
    const { start, count } = bigValue(bytes, node, pageBytes);
    this.#claim(start, count, 1);
    found.overflows += count;
    const head = Buffer.allocUnsafe(PAGE_HEADER);
    this.#read(head, start);
    checkHeader(head, start, transaction);
    if (!isOverflowOf(head, count)) throw new Damage(`page ${start} is broken`);
  }

  #value(bytes: Buffer, node: Node): Buffer {
    const { value, size } = node;
    if (node.kind !== 'big') return bytes.subarray(value, value + size);
    const { start } = bigValue(bytes, node, this.#meta.pageBytes);
    const whole = Buffer.allocUnsafe(size);
    this.#read(whole, start, PAGE_HEADER);
    return whole;
  }

  // ---- pages --------------------------------------------------------------------------------------

  #read(into: Buffer, page: number, offset = 0): void {
    if (readSync(this.#fd, into, 0, into.length, page * this.#meta.pageBytes + offset) !== into.length)
      throw new Damage(`page ${page} cannot be read`);
  }

  /** Each page belongs to one place: a second visit is damage too, and ends every loop. */
  #claim(start: number, count: number, owner: 1 | 2): void {
    if (!(start >= 2 && start + count - 1 <= this.#meta.lastPage)) throw new Damage(`page ${start} does not exist`);
    const end = start + count;
    if (owner === 1 && end > this.#pages)
      throw new Damage(`it is cut short: page ${end - 1} of ${this.#pages} is used`);
    for (let page = start; page < Math.min(end, this.#pages); page++) {
      // The engine passes over a page that is noted as free twice.
      if (this.#owners[page] === 1 || (owner === 1 && this.#owners[page] === 2))
        throw new Damage(`page ${page} is used twice`);
      this.#owners[page] = owner;
    }
    if (owner === 2) this.#freeBeyond += Math.max(0, end - Math.max(start, this.#pages));
  }

  /** An entry of the free pages: a count, then pages, or −n and the first of n pages; 0 is a gap. */
  #freed(bytes: Buffer, node: Node): void {
    const list = this.#value(bytes, node);
    const broken = (): Damage => new Damage('the list of free pages is broken');
    const since = readUint64(bytes, node.key);
    if (node.kind === 'database' || list.length < 8 || since < 1 || since > this.#meta.transaction) throw broken();
    const count = readUint64(list, 0);
    if (count > list.length / 8 - 1) throw broken();
    for (let i = 1; i <= count; i++) {
      const entry = list.readBigInt64LE(i * 8);
      if (entry === 0n) continue;
      if (entry > 0n) this.#claim(Number(entry), 1, 2);
      else if (++i <= list.length / 8 - 1) this.#claim(readUint64(list, i * 8), Number(-entry), 2);
      else throw broken();
    }
  }
}

interface Place {
  readonly tree: Tree;
  readonly found: Found;
  readonly each: (bytes: Buffer, node: Node) => void;
  readonly level: number;
  /** Keys below are not less than `low` and less than `high`. */
  readonly low: Buffer | undefined;
  readonly high: Buffer | undefined;
}

function treeAt(bytes: Buffer, at: number, flags: number, name: string | undefined): Tree {
  if (bytes.readUInt16LE(at + 4) !== flags) throw new Damage(`the table '${name ?? 'free'}' is broken`);
  return {
    name,
    depth: bytes.readUInt16LE(at + 6),
    branches: readUint64(bytes, at + 8),
    leaves: readUint64(bytes, at + 16),
    overflows: readUint64(bytes, at + 24),
    entries: readUint64(bytes, at + 32),
    root: readUint64(bytes, at + 40),
  };
}
