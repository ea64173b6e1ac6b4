/** Who may knock at all, before there is a connection: which addresses, which subprotocol. */
import { SUBPROTOCOL, TOKEN_ITEM_PREFIX } from '../../protocol/frames.js';
import { isLoopbackAddress } from '../transport/addresses.js';

/** RW-CON-2: ours when offered; else the first item that is no token, so that the close code can be read. */
export function chooseSubprotocol(offered: readonly string[]): string | undefined {
  if (offered.includes(SUBPROTOCOL)) return SUBPROTOCOL;
  return offered.find((item) => !item.startsWith(TOKEN_ITEM_PREFIX));
}

/** Whether only this machine can reach `host`: the one place where guests are let in. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || isLoopbackAddress(host);
}

/**
 * Whether a request comes from no web page, or from a page of this machine. Where guests are let in,
 * others are not: any page that a developer visits could otherwise speak for them.
 */
export function isLocalOrigin(origin: string): boolean {
  if (origin === '') return true;
  return isLocalName(URL.canParse(origin) ? new URL(origin).hostname : '');
}

/**
 * Whether the Host header is a name of this machine. Where guests are let in, a request under another name is a page's
 * that made its own name lead here (DNS rebinding): to its browser it is no other origin, so it would read all there is.
 * Programs may send none; a browser always does.
 */
export function isLocalHost(host: string): boolean {
  if (host === '') return true;
  const name = /^([a-z0-9._-]+|\[[0-9a-f:.]+\])(?::\d{0,5})?$/i.exec(host)?.[1];
  return name !== undefined && isLocalName(name.toLowerCase());
}

/** `localhost` and all below it never leave the machine (RFC 6761). */
function isLocalName(name: string): boolean {
  return /^(.*\.)?localhost\.?$/.test(name) || isLoopback(name.replace(/^\[(.*)\]$/, '$1'));
}

/** Whether pages of this origin may connect: none at all is no page; a server's own pages always may. */
export function isAllowedOrigin(origin: string, host: string, allowed: readonly string[] | undefined): boolean {
  if (origin === '' || allowed === undefined || allowed.includes(origin)) return true;
  return URL.canParse(origin) && host !== '' && new URL(origin).host === host.toLowerCase();
}
