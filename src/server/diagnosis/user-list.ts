/** Users who are here, by part of an id or a name: who asks after somebody knows a name, and the questions take ids. */
import type { PresentUser } from '../../protocol/http-answers.js';
import type { UserQuery } from '../api.js';
import type { SessionRegistry } from '../sessions/registry.js';
import { OWN_PREFIX } from '../wire/names.js';

/** Sessions that one question looks at: the loop waits meanwhile. */
const LOOKED_AT = 50_000;

export function userList(registry: SessionRegistry, { search = '', limit = 100 }: UserQuery): PresentUser[] {
  const most = Math.min(Math.max(1, limit), 500);
  const needle = search.toLowerCase();
  const found = new Map<string, PresentUser>();
  let looked = 0;
  for (const { user } of registry.all()) {
    if (++looked > LOOKED_AT || found.size === most) break;
    const { id, name } = user;
    if (id === OWN_PREFIX || found.has(id) || !`${id}\0${name}`.toLowerCase().includes(needle)) continue;
    found.set(id, { userId: id, name, sessions: registry.ofUser(id).length });
  }
  return [...found.values()];
}
