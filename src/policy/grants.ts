/**
 * Grants: who a rule lets, as short words in a list any of which is enough. `role:editor` and `token`
 * are told by the user's claims alone; `member`, `host`, `presenter` by the room; `hook` by the backend.
 * Pure functions: what the words need is looked up by policy.ts.
 */
import { topicPattern, type TopicPattern } from '../protocol/pattern.js';
import type { User } from '../server/api.js';

/** What a list may hold beside claims, which it always may. */
export type Word = 'member' | 'host' | 'presenter' | 'hook';

export interface Grants {
  readonly everyone: boolean;
  /** The topic fits one of the patterns in the token's `rooms`. */
  readonly token: boolean;
  readonly roles: ReadonlySet<string>;
  readonly groups: ReadonlySet<string>;
  readonly users: ReadonlySet<string>;
  readonly words: ReadonlySet<Word>;
}

const CLAIMS = 'everyone, nobody, token, role:NAME, group:NAME, user:ID';

/** Throws a TypeError that names the wrong word. `where`: as the reader of the config finds it. */
export function parseGrants(list: readonly string[], words: readonly Word[], where: string): Grants {
  const wrong = (problem: string): TypeError => new TypeError(`policy: ${where}: ${problem}`);
  if (!Array.isArray(list) || list.length === 0) throw wrong("list at least one grant, such as 'nobody'");
  const named = { role: new Set<string>(), group: new Set<string>(), user: new Set<string>() };
  const found = new Set<Word>();
  for (const grant of list as readonly unknown[]) {
    if (typeof grant !== 'string') throw wrong('a grant is a string');
    if (grant === 'everyone' || grant === 'token') continue;
    if (grant === 'nobody') {
      if (list.length > 1) throw wrong("'nobody' stands alone");
      continue;
    }
    const [, kind, name = ''] = /^(role|group|user):(.+)$/s.exec(grant) ?? [];
    if (kind !== undefined) named[kind as keyof typeof named].add(name);
    else if (words.includes(grant as Word)) found.add(grant as Word);
    else throw wrong(`'${grant}' is no grant here; write ${[CLAIMS, ...words].join(', ')}`);
  }
  const { role: roles, group: groups, user: users } = named;
  return { everyone: list.includes('everyone'), token: list.includes('token'), roles, groups, users, words: found };
}

/** Whether the user's claims are enough. No topic: `token` grants nothing. */
export function byClaims(grants: Grants, user: User, topic: string | undefined): boolean {
  if (grants.everyone || grants.users.has(user.id)) return true;
  if (grants.roles.size > 0 && listOf(user, 'roles').some((role) => grants.roles.has(role))) return true;
  if (grants.groups.size > 0 && listOf(user, 'groups').some((group) => grants.groups.has(group))) return true;
  return grants.token && topic !== undefined && inToken(user, topic);
}

/** A user's claims are the same object for as long as the session has them. */
const compiled = new WeakMap<readonly string[], readonly TopicPattern[]>();

function inToken(user: User, topic: string): boolean {
  const list = listOf(user, 'rooms');
  let patterns = compiled.get(list);
  if (patterns === undefined) {
    patterns = list.flatMap((pattern) => tokenPattern(pattern) ?? []);
    compiled.set(list, patterns);
  }
  return patterns.some((pattern) => pattern.match(topic) !== undefined);
}

/** A pattern out of a token; what is malformed grants nothing. */
function tokenPattern(pattern: unknown): TopicPattern | undefined {
  // One placeholder between two colons: more would make matching slow for whoever chooses the topic.
  if (typeof pattern !== 'string' || pattern.split(':').some((part) => part.split('{').length > 2)) return undefined;
  try {
    return topicPattern(pattern);
  } catch {
    return undefined;
  }
}

const EMPTY: readonly string[] = [];

function listOf(user: User, claim: 'roles' | 'groups' | 'rooms'): readonly string[] {
  const list = (user as User & Readonly<Record<string, unknown>>)[claim];
  return Array.isArray(list) ? (list as readonly string[]) : EMPTY;
}
