/**
 * The policy's topics as they are written, checked against the contract, and which of them decides: the
 * first pattern that fits the topic and names the action. What could never decide, or would decide
 * nothing, is a mistake that must not wait for somebody to run into it.
 */
import type { Contract, ContractTopic } from '../protocol/contract.js';
import { eventEntry, fits, topicPattern, type TopicPattern } from '../protocol/pattern.js';
import { roomsContract } from '../protocol/rooms-contract.js';
import { parseGrants, type Grants, type Word } from './grants.js';

/** Lists of grants (docs/policy.md). What is not named stays as it is without a policy. */
export interface TopicGrants {
  /** Rooms only, as are the others but `join` and `publish`. */
  readonly see?: readonly string[] | undefined;
  readonly create?: readonly string[] | undefined;
  readonly join?: readonly string[] | undefined;
  /** By event or `prefix*`. Who is not in the topic never may. */
  readonly publish?: Readonly<Record<string, readonly string[]>> | undefined;
  readonly edit?: readonly string[] | undefined;
  readonly lock?: readonly string[] | undefined;
  readonly present?: readonly string[] | undefined;
  /** Delete the room, kick members, end others' locks. */
  readonly administer?: readonly string[] | undefined;
}
export type TopicAction = Exclude<keyof TopicGrants, 'publish'>;

const ROOM_WORDS: Readonly<Record<TopicAction, readonly Word[]>> = {
  // Asked inside transactions, for each of many: no time for the backend.
  see: ['member', 'host'],
  create: ['hook'],
  join: ['member', 'hook'],
  edit: ['member', 'host', 'hook'],
  lock: ['member', 'host', 'hook'],
  present: ['member', 'host', 'hook'],
  administer: ['member', 'host', 'hook'],
};
const ACTIONS = Object.keys(ROOM_WORDS) as TopicAction[];
/** Names come from outside: what is remembered of them is bounded (rule 4). */
const REMEMBERED = 10_000;

/** The grants for one event or `prefix*`. */
export interface EventGrants {
  readonly grants: Grants;
  /** It names what the contract names: it may open what the contract keeps to the server. */
  readonly named: boolean;
}

export interface TopicEntry {
  readonly pattern: string;
  readonly kind: 'room' | 'overview' | 'plain';
  readonly actions: Readonly<Partial<Record<TopicAction, Grants>>>;
  readonly publish: Readonly<Record<string, EventGrants>>;
}

type Matched = readonly [TopicPattern, TopicEntry];

export class TopicTable {
  readonly #entries: readonly Matched[];
  readonly #found = new Map<string, readonly TopicEntry[]>();

  /** `withRooms`: rooms() is there. Throws a TypeError that names what is wrong. */
  constructor(topics: Readonly<Record<string, TopicGrants>>, contract: Contract, withRooms: boolean) {
    this.#entries = Object.entries(topics).map(([pattern, given]) => {
      const matcher = patternOf(pattern);
      return [matcher, entryOf(pattern, given, contract, withRooms)];
    });
    refuseShadowed(this.#entries);
  }

  get entries(): readonly TopicEntry[] {
    return this.#entries.map(([, entry]) => entry);
  }

  /** Who may, by the pattern that decides it; undefined: the policy does not say. */
  grants(topic: string, action: TopicAction): Grants | undefined {
    for (const { actions } of this.#fitting(topic)) {
      if (actions[action] !== undefined) return actions[action];
    }
    return undefined;
  }

  /** The entry that decides who may publish this. */
  publishing(topic: string, event: string): TopicEntry | undefined {
    return this.#fitting(topic).find(({ publish }) => eventEntry(publish, event) !== undefined);
  }

  #fitting(topic: string): readonly TopicEntry[] {
    let found = this.#found.get(topic);
    if (found === undefined) {
      found = this.#entries.filter(([pattern]) => pattern.match(topic) !== undefined).map(([, entry]) => entry);
      if (this.#found.size >= REMEMBERED) this.#found.clear();
      this.#found.set(topic, found);
    }
    return found;
  }
}

const namespaceOf = (pattern: string): string => pattern.split(':', 1)[0] as string;

function patternOf(pattern: string): TopicPattern {
  // Or it would reach topics of whatever kind, with rules that mean nothing there.
  if (namespaceOf(pattern).includes('{')) {
    throw new TypeError(`policy: ${pattern}: begin a pattern with the kind of topic, such as room:{id}`);
  }
  return topicPattern(pattern);
}

function entryOf(pattern: string, given: TopicGrants, contract: Contract, withRooms: boolean): TopicEntry {
  const wrong = (problem: string): TypeError => new TypeError(`policy: ${pattern}: ${problem}`);
  const namespace = namespaceOf(pattern);
  const definitions = contract.topics.filter((topic) => namespaceOf(topic.pattern) === namespace);
  if (definitions.length === 0) throw wrong('the contract has no such topics');
  const isRooms = withRooms && (namespace === 'room' || namespace === 'overview');
  const kind = isRooms ? namespace : 'plain';
  const actions: Partial<Record<TopicAction, Grants>> = {};
  for (const action of ACTIONS) {
    const list = given[action];
    if (list === undefined) continue;
    if (kind !== 'room' && action !== 'join') throw wrong(`'${action}' is for rooms; here are 'join' and 'publish'`);
    if (kind === 'plain' && definitions.some(({ subscribe }) => subscribe === 'by-call')) {
      throw wrong("these topics are joined by calls: rule those under 'calls'");
    }
    const words: readonly Word[] = kind === 'room' ? ROOM_WORDS[action] : ['hook'];
    actions[action] = parseGrants(list, words, `${pattern}: ${action}`);
  }
  const publish: Record<string, EventGrants> = {};
  for (const [event, list] of Object.entries(given.publish ?? {})) {
    if (!isEvent(definitions, event)) throw wrong(`publish: the contract has no event '${event}' there`);
    if (isRooms && isOwnOfRooms(namespace, event)) throw wrong(`publish: '${event}' is the server's own`);
    const words: readonly Word[] = kind === 'room' ? ['member', 'host', 'presenter', 'hook'] : ['member', 'hook'];
    const grants = parseGrants(list, words, `${pattern}: publish: ${event}`);
    const named = !event.endsWith('*') || definitions.some(({ events }) => Object.hasOwn(events, event));
    publish[event] = { grants, named };
  }
  return { pattern, kind, actions, publish };
}

/** Whether a name or `prefix*` can mean an event of these topics. */
function isEvent(definitions: readonly ContractTopic[], event: string): boolean {
  const start = event.replace(/\*$/, '');
  return definitions.some(({ events }) =>
    event.endsWith('*')
      ? Object.keys(events).some((name) => fits(event, name) || fits(name, start))
      : eventEntry(events, event) !== undefined,
  );
}

/** Told by the rooms plugin alone, such as room:update: nobody may forge them. */
function isOwnOfRooms(namespace: string, event: string): boolean {
  return roomsContract().topics.some(
    ({ pattern, events }) => namespaceOf(pattern) === namespace && Object.hasOwn(events, event),
  );
}

/** A pattern behind a wider one never decides: its author believes that it does. */
function refuseShadowed(entries: readonly Matched[]): void {
  entries.forEach(([, late], i) => {
    const sample = late.pattern.replace(/\{\w+\}/g, 'x');
    for (const [matcher, early] of entries.slice(0, i)) {
      if (matcher.match(sample) === undefined) continue;
      const action = ACTIONS.find((name) => late.actions[name] !== undefined && early.actions[name] !== undefined);
      const event = Object.keys(late.publish).find(
        (name) => eventEntry(early.publish, name.replace(/\*$/, 'x')) !== undefined,
      );
      const what = action ?? (event === undefined ? undefined : `publish: ${event}`);
      if (what === undefined) continue;
      throw new TypeError(
        `policy: ${late.pattern}: ${what}: '${early.pattern}' decides first; write the narrower first`,
      );
    }
  });
}
