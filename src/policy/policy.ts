/**
 * The policy plugin: who may see, join, publish, lock, present and administer by topic, and who may make
 * which call, written as lists of grants (docs/policy.md). It sets the server's own seams: rules for
 * topics and calls, and rules for rooms, where the same holds over HTTP.
 */
import type { Question } from '../hooks/question.js';
import type { HooksApi } from '../hooks/hooks.js';
import { RoomwireError } from '../protocol/errors.js';
import { eventEntry, fits } from '../protocol/pattern.js';
import type { RoomAction, RoomPolicy, RoomsApi } from '../rooms/rooms.js';
import type { Plugin, PluginHost, Session, TopicPolicy } from '../server/api.js';
import { byClaims, parseGrants, type Grants } from './grants.js';
import { TopicTable, type TopicAction, type TopicEntry, type TopicGrants } from './topic-grants.js';

export type { TopicGrants } from './topic-grants.js';

export interface PolicyGrants {
  /** By topic pattern; the first that fits and names the action decides. */
  readonly topics?: Readonly<Record<string, TopicGrants>> | undefined;
  /** By call or `prefix*`; the longest that fits decides. */
  readonly calls?: Readonly<Record<string, readonly string[]>> | undefined;
}

export interface PolicyOptions {
  /** Answers the grant `hook`. Default: the plugin hooks(). */
  readonly ask?: (question: Question) => boolean | Promise<boolean>;
}

/** Put it after rooms() and hooks(). Throws a TypeError that names what is wrong when the server is made. */
export function policy(grants: PolicyGrants, options: PolicyOptions = {}): Plugin<'policy', undefined> {
  return {
    name: 'policy',
    setup(server) {
      new Policies(server, grants, options).install();
      return undefined;
    },
  };
}

const NAMES: Readonly<Record<RoomAction, TopicAction | undefined>> = {
  see: 'see',
  create: 'create',
  join: 'join',
  edit: 'edit',
  restrict: 'administer',
  lock: 'lock',
  present: 'present',
  delete: 'administer',
  kick: 'administer',
  'force-release': 'administer',
  // One for the whole server: the backend's.
  'set-default': undefined,
};

class Policies {
  readonly #server: PluginHost;
  readonly #rooms: RoomsApi | undefined;
  readonly #topics: TopicTable;
  readonly #calls: Readonly<Record<string, Grants>>;
  readonly #askHook: (question: Question) => boolean | Promise<boolean>;

  constructor(server: PluginHost, { topics = {}, calls = {} }: PolicyGrants, { ask }: PolicyOptions) {
    this.#server = server;
    this.#rooms = server.plugins['rooms'] as RoomsApi | undefined;
    this.#topics = new TopicTable(topics, server.contract, this.#rooms !== undefined);
    this.#calls = Object.fromEntries(
      Object.entries(calls).map(([call, list]) => {
        if (!Object.keys(server.contract.calls).some((name) => fits(call, name))) {
          throw new TypeError(`policy: calls: the contract has no call '${call}'`);
        }
        const words = this.#rooms === undefined ? (['hook'] as const) : (['member', 'host', 'hook'] as const);
        return [call, parseGrants(list, words, `calls: ${call}`)];
      }),
    );
    const hooks = server.plugins['hooks'] as HooksApi | undefined;
    const answers = ask ?? hooks?.authorize;
    if (answers === undefined && this.#usesHook()) {
      throw new TypeError("policy: the grant 'hook' asks a backend: set hooks.url, or put hooks() before policy()");
    }
    this.#askHook = answers ?? (() => false);
  }

  #usesHook(): boolean {
    const { entries } = this.#topics;
    const all = [
      ...Object.values(this.#calls),
      ...entries.flatMap(({ actions }) => Object.values(actions)),
      ...entries.flatMap(({ publish }) => Object.values(publish).map(({ grants }) => grants)),
    ];
    return all.some(({ words }) => words.has('hook'));
  }

  install(): void {
    for (const entry of this.#topics.entries) this.#server.topicPolicy(entry.pattern, this.#rulesOf(entry));
    for (const [pattern, grants] of Object.entries(this.#calls)) {
      this.#server.callPolicy(pattern, ({ session, call, input }) => {
        if (eventEntry(this.#calls, call) !== grants) return true;
        const { roomId } = (typeof input === 'object' ? (input ?? {}) : {}) as { readonly roomId?: unknown };
        const topic = typeof roomId === 'string' ? `room:${roomId}` : undefined;
        return this.#may(grants, session, { action: 'call', call, input, topic });
      });
    }
    if (this.#topics.entries.some(({ kind, actions }) => kind === 'overview' && actions.join !== undefined)) {
      this.#server.callPolicy('join:overview', ({ session, input }) => {
        const { group = 'public' } = input as { readonly group?: string };
        return this.#mayJoin(session, `overview:${group}`);
      });
    }
    if (this.#topics.entries.some(({ kind }) => kind === 'room')) this.#rooms?.setPolicy(this.#roomRules());
  }

  #rulesOf(entry: TopicEntry): TopicPolicy {
    const publish = Object.fromEntries(
      Object.entries(entry.publish).map(([key, { grants, named }]) => [
        key,
        ({ session, topic, event }: { session: Session; topic: string; event: string }) => {
          // A pattern before this one decides.
          if (this.#topics.publishing(topic, event) !== entry) return true;
          if (!session.topics.has(topic)) return false;
          if (!named && !this.#isOpen(topic, event)) return false;
          return this.#may(grants, session, { action: 'publish', topic, event });
        },
      ]),
    );
    const mayJoin = ({ session, topic }: { session: Session; topic: string }) => this.#mayJoin(session, topic);
    if (entry.kind === 'plain') return { subscribe: mayJoin, publish };
    const mayStay = async ({ session, topic }: { session: Session; topic: string }) => {
      const see = this.#topics.grants(topic, 'see');
      if (see !== undefined && !(await this.#may(see, session, { action: 'see', topic }))) return false;
      return this.#mayJoin(session, topic);
    };
    return { resume: mayStay, publish };
  }

  #mayJoin(session: Session, topic: string): boolean | Promise<boolean> {
    const join = this.#topics.grants(topic, 'join');
    return join === undefined || this.#may(join, session, { action: 'join', topic });
  }

  /** Whether the contract opens the event to subscribers. */
  #isOpen(topic: string, event: string): boolean {
    const definition = this.#server.contract.topics.find((each) => each.match(topic) !== undefined);
    return definition !== undefined && eventEntry(definition.events, event)?.publish === 'subscribers';
  }

  /** Outside of transactions. The cheapest first: the backend is asked when nothing else grants. */
  #may(
    grants: Grants,
    session: Session,
    what: Pick<Question, 'action' | 'topic' | 'event' | 'call' | 'input'>,
  ): boolean | Promise<boolean> {
    const { user } = session;
    const { words } = grants;
    const { topic } = what;
    if (byClaims(grants, user, topic)) return true;
    if (words.has('member') && topic !== undefined && session.topics.has(topic)) return true;
    const roomId = topic?.startsWith('room:') === true ? topic.slice('room:'.length) : undefined;
    const rooms = roomId === undefined ? undefined : this.#rooms;
    if (rooms !== undefined && words.has('presenter') && rooms.presenterOf(roomId as string) === session.sid)
      return true;
    const hook = () => words.has('hook') && this.#askHook({ ...what, user });
    if (rooms === undefined || !words.has('host')) return hook();
    return rooms.isHost(roomId as string, user.id).then((isHost) => isHost || hook());
  }

  #roomRules(): RoomPolicy {
    return {
      access: ({ action, roomId, user, isMember, isHost, consulted }) => {
        const grants = this.#grantsFor(action, roomId);
        if (grants === undefined) return undefined;
        const { words } = grants;
        if (byClaims(grants, user, `room:${roomId}`)) return true;
        if ((isMember && words.has('member')) || (isHost && words.has('host'))) return true;
        if (!words.has('hook')) return false;
        if (consulted instanceof RoomwireError) throw consulted;
        return consulted === true;
      },
      consult: ({ action, roomId, user, session }) => {
        const grants = this.#grantsFor(action, roomId);
        if (grants?.words.has('hook') !== true) return undefined;
        const topic = `room:${roomId}`;
        if (byClaims(grants, user, topic)) return undefined;
        if (grants.words.has('member') && session?.topics.has(topic) === true) return undefined;
        return this.#askHook({ action: NAMES[action] as TopicAction, detail: action, topic, user });
      },
      listed: (roomId) => this.#topics.grants(`room:${roomId}`, 'see')?.everyone ?? true,
    };
  }

  #grantsFor(action: RoomAction, roomId: string | undefined): Grants | undefined {
    const name = NAMES[action];
    return name === undefined || roomId === undefined ? undefined : this.#topics.grants(`room:${roomId}`, name);
  }
}
