/**
 * One spelling of each address, so that limits, trust and logs mean the same one whatever an engine or a proxy
 * writes: an IPv6 address that only holds an IPv4 address is that address; else its short form.
 */
import { BlockList, isIP, SocketAddress } from 'node:net';

/** 96 bits that say: what follows is an IPv4 address. Mapped (RFC 4291), translated (RFC 2765), NAT64 (RFC 6052). */
const HOLDERS = ['0:0:0:0:0:ffff', '0:0:0:0:ffff:0', '64:ff9b:0:0:0:0'];
const MAPPED = HOLDERS[0] as string;

/** Undefined for what is no address. */
export function addressIn(text: string): string | undefined {
  const bare = text.replace(/%.*$/s, '');
  const version = isIP(bare);
  if (version === 0) return undefined;
  if (version === 4) return bare;
  return heldBy(bare, HOLDERS) ?? new SocketAddress({ address: bare, family: 'ipv6' }).address;
}

/** A peer's address from an engine. */
export function peerAddress(text: string): string {
  return addressIn(text) ?? text;
}

/** An address as a proxy writes it: with a port, in brackets. Undefined for what is none. */
export function hopAddress(hop: string): string | undefined {
  const bare = /^\[(.*)\](?::\d{1,5})?$/.exec(hop)?.[1] ?? hop.replace(/(?<=\d\.\d+\.\d+\.\d+):\d{1,5}$/, '');
  return addressIn(bare);
}

/** Whether only this machine has it. NAT64 of 127.0.0.1 leads elsewhere. */
export function isLoopbackAddress(text: string): boolean {
  const version = isIP(text);
  if (version === 0) return false;
  const v4 = version === 4 ? text : heldBy(text, [MAPPED]);
  if (v4 !== undefined) return v4.startsWith('127.');
  return groupsOf(text).every((group, i) => group === (i === 7 ? 1 : 0));
}

/** Whom an address stands for: of IPv6 the network of 64 bits, all of which one household or server has. */
export function networkOf(address: string): string {
  if (isIP(address) !== 6) return address;
  return `${groupsOf(address)
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** Addresses and networks such as 10.0.0.0/8. */
export class Networks {
  readonly #blocks = new BlockList();

  /** Throws a TypeError for an entry that is none. */
  constructor(name: string, entries: readonly string[]) {
    for (const entry of entries) {
      const [, address = '', prefix] = /^([^/]*)(?:\/(0|[1-9]\d{0,2}))?$/.exec(entry) ?? [];
      const version = isIP(address);
      const most = version === 4 ? 32 : 128;
      const bits = prefix === undefined ? most : Number(prefix);
      if (version === 0 || bits > most || address.includes('%')) {
        throw new TypeError(`${name}: '${entry}' is no address or network such as 10.0.0.0/8`);
      }
      const held = version === 6 ? heldBy(address, HOLDERS) : undefined;
      if (held === undefined) this.#blocks.addSubnet(address, bits, version === 4 ? 'ipv4' : 'ipv6');
      else if (bits >= 96) this.#blocks.addSubnet(held, bits - 96, 'ipv4');
      else throw new TypeError(`${name}: write '${entry}' as networks of IPv4 such as 10.0.0.0/8`);
    }
  }

  /** `address`: in the spelling of this file. */
  has(address: string): boolean {
    const version = isIP(address);
    return version !== 0 && this.#blocks.check(address, version === 4 ? 'ipv4' : 'ipv6');
  }
}

/** The IPv4 address in an IPv6 address that begins like one of these. */
function heldBy(address: string, holders: readonly string[]): string | undefined {
  const groups = groupsOf(address);
  const head = groups.slice(0, 6).map((group) => group.toString(16));
  if (!holders.includes(head.join(':'))) return undefined;
  const [high = 0, low = 0] = groups.slice(6);
  return [high >> 8, high & 255, low >> 8, low & 255].join('.');
}

/** The eight numbers of an IPv6 address, in any of its spellings. */
function groupsOf(address: string): number[] {
  const hex = address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...bytes: string[]) => {
    const [a = 0, b = 0, c = 0, d = 0] = bytes.slice(0, 4).map(Number);
    return `${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`;
  });
  const [head = '', tail] = hex.split('::');
  const parse = (part: string): number[] => (part === '' ? [] : part.split(':').map((group) => parseInt(group, 16)));
  const [before, after] = [parse(head), parse(tail ?? '')];
  return tail === undefined
    ? before
    : [...before, ...Array<number>(8 - before.length - after.length).fill(0), ...after];
}
