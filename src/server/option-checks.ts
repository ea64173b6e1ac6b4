/**
 * Options of createServer and listen() that would say one thing and do another, or can never work: refused before
 * anything starts. What needs more than a look (limits, keys, admission) is checked by its own file.
 */
import type { Contract } from '../protocol/contract.js';
import { fits, topicPattern } from '../protocol/pattern.js';
import { LONGEST_MS, MOST_BYTES, oneOf, webOrigin, wholeNumber } from '../protocol/setting.js';
import type { AnyOptions, ListenOptions } from './options.js';

/** Ms: an hour. */
const HTTP_IDLE_MOST = 3_600_000;

/** Throws a TypeError that names the option. */
export function checkOptions(options: AnyOptions): void {
  const { contract, engine, pingEvery, pingTimeout, ringBytes, bodyBytes, node, rates = {}, admission = {} } = options;
  if (engine !== undefined) oneOf('engine', engine, ['auto', 'uws', 'ws']);
  if (pingEvery !== undefined) wholeNumber('pingEvery', pingEvery, 1, LONGEST_MS);
  if (pingTimeout !== undefined) wholeNumber('pingTimeout', pingTimeout, 1, LONGEST_MS);
  if (ringBytes !== undefined) wholeNumber('ringBytes', ringBytes);
  if (bodyBytes !== undefined) wholeNumber('bodyBytes', bodyBytes, 1, MOST_BYTES);
  if (!/^(\/[\w.~-]+)*\/?$/.test(options.basePath ?? '')) throw new TypeError('basePath: takes a path such as /rt');
  if (options.httpIdleMs !== undefined) checkIdle(options.httpIdleMs, engine);
  const { tls } = options;
  if (tls !== undefined && [tls.cert, tls.key].some((path) => typeof path !== 'string' || path === '')) {
    throw new TypeError('tls: takes cert and key, both: the names of files');
  }
  if (node === '') throw new TypeError('node: is empty');
  admission.origins?.forEach((origin) => webOrigin('origins', origin));
  for (const name of Object.keys(rates.calls ?? {})) requireCall('rates.calls', contract, name);
  for (const name of Object.keys(options.callPolicy ?? {})) requireCall('callPolicy', contract, name);
  for (const kind of ['publishes', 'joins'] as const) {
    for (const pattern of Object.keys(rates[kind] ?? {})) requireTopic(`rates.${kind}`, contract, pattern);
  }
}

/** A setting that did nothing would be believed. */
function checkIdle(httpIdleMs: number, engine: AnyOptions['engine']): void {
  wholeNumber('httpIdleMs', httpIdleMs, 1, HTTP_IDLE_MOST);
  if (engine === 'ws') return;
  throw new TypeError(
    'httpIdleMs needs the engine ws: uWebSockets.js ends an HTTP connection after 10 s without a request, whatever is set; ' +
      'choose that engine, or let the proxy keep its connections for less (docs/operating.md)',
  );
}

/** Throws a TypeError that names the option. */
export function checkListen({ port = 0, host }: ListenOptions): void {
  wholeNumber('port', port, 0, 65_535);
  if (host !== undefined && (typeof host !== 'string' || !/^[^\s[\]/]+$/.test(host))) {
    throw new TypeError('host: takes an address or a name to listen on, such as 127.0.0.1 or ::1');
  }
}

/** A call, or a prefix of calls: one that the contract lacks would rule nothing. */
function requireCall(where: string, contract: Contract, name: string): void {
  if (!Object.keys(contract.calls).some((call) => fits(name, call)))
    throw new TypeError(`${where}: the contract has no call '${name}'`);
}

/** A pattern that meets one of the contract's, by a topic that both would have. */
function requireTopic(where: string, contract: Contract, pattern: string): void {
  const sample = (text: string): string => text.replace(/\{\w+\}/g, 'x');
  const matcher = topicPattern(pattern);
  const isKnown = contract.topics.some(
    (topic) => topic.match(sample(pattern)) !== undefined || matcher.match(sample(topic.pattern)) !== undefined,
  );
  if (!isKnown) throw new TypeError(`${where}: the contract has no topics like '${pattern}'`);
}
