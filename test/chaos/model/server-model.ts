/**
 * What a roomwire server must be, in memory and without a network: sessions, rooms, and per topic the events that each
 * step adds. The order of the events of one step is the server's; which there are is told here.
 */
import { HISTORY, userOf } from './plan.js';

export class ModelSession {
  readonly user: string;
  /** Of the newest client that had it; unknown while nobody was told. */
  sid: string | undefined;
  connected = true;
  ended = false;
  /** When the grace ends, while not connected. */
  due = Infinity;
  readonly topics = new Set<string>();

  constructor(client: string) {
    this.user = userOf(client);
  }
}

export interface ModelLock {
  readonly session: ModelSession;
  /** Store time, ms. */
  due: number;
}

export class ModelRoom {
  /** Sessions by user, in joining order. */
  readonly members = new Map<string, ModelSession[]>();
  readonly locks = new Map<string, ModelLock>();
  presenter: ModelSession | undefined;
  host: string | undefined;
}

export class ModelTopic {
  /** Undefined until it was looked at. */
  epoch: string | undefined;
  /** Text of each event; that of offset 1 is the first. */
  readonly log: string[] = [];
  /** What this step adds, in no order. */
  readonly added: string[] = [];
  /** Newest volatile values by sender and slot. */
  readonly slots = new Map<ModelSession, Map<string, number>>();

  get head(): number {
    return this.log.length;
  }
}

/** What an application asks for. */
export type Op =
  | { readonly do: 'join' | 'leave' | 'take' | 'yield'; readonly room: string }
  | { readonly do: 'subscribe' | 'unsubscribe'; readonly topic: string }
  | { readonly do: 'publish'; readonly topic: string; readonly n: number; readonly key?: string | undefined }
  | { readonly do: 'volatile'; readonly topic: string; readonly slot: string; readonly n: number }
  | { readonly do: 'lock' | 'unlock'; readonly room: string; readonly target: string; readonly lock?: ModelLock };

/** The name of the refusal; undefined: done. */
export type Refusal = string | undefined;

const METADATA_TARGET = 'trajectory:meta';

export class ServerModel {
  now = 0;
  readonly rooms = new Map<string, ModelRoom>();
  readonly topics = new Map<string, ModelTopic>();
  readonly sessions = new Set<ModelSession>();
  readonly #keys = new Set<string>();
  readonly #leaseMs: number;
  readonly #graceMs: number;

  constructor({ leaseMs, graceMs }: { readonly leaseMs: number; readonly graceMs: number }) {
    this.#leaseMs = leaseMs;
    this.#graceMs = graceMs;
  }

  topic(name: string): ModelTopic {
    let topic = this.topics.get(name);
    if (topic === undefined) this.topics.set(name, (topic = new ModelTopic()));
    return topic;
  }

  /** Sessions with a connection, as an ACK's `matched` counts them. */
  connectedIn(topic: string): number {
    return [...this.sessions].filter((session) => session.connected && session.topics.has(topic)).length;
  }

  /** Whether who stands so far behind may be told RESET. */
  mayHaveMissed(behind: number): boolean {
    return behind > HISTORY;
  }

  begin(client: string): ModelSession {
    const session = new ModelSession(client);
    this.sessions.add(session);
    return session;
  }

  lost(session: ModelSession): void {
    session.connected = false;
    session.due = this.now + this.#graceMs;
    for (const topic of session.topics) this.#settle(topic);
  }

  resumed(session: ModelSession): void {
    session.connected = true;
    session.due = Infinity;
  }

  end(session: ModelSession): void {
    for (const topic of session.topics) if (topic.startsWith('room:')) this.#depart(session, topic.slice(5), 'gone');
    for (const topic of [...session.topics]) this.#exit(session, topic);
    session.ended = true;
    this.sessions.delete(session);
  }

  /** The end of every grace and lease that is over, in their order. */
  passed(): void {
    for (;;) {
      const ends: { readonly at: number; readonly sid: string; readonly run: () => void }[] = [];
      for (const session of this.sessions) {
        ends.push({ at: session.due, sid: session.sid ?? '', run: () => this.end(session) });
      }
      for (const [id, room] of this.rooms) {
        for (const [target, lock] of room.locks) {
          ends.push({ at: lock.due, sid: '', run: () => this.#unlock(id, target) });
        }
      }
      // After a restart graces end together, in the order in which the store lists them.
      const [first] = ends.filter(({ at }) => at <= this.now).sort((a, b) => a.at - b.at || (a.sid < b.sid ? -1 : 1));
      if (first === undefined) return;
      first.run();
    }
  }

  /** `durable`: what it had told it still has. */
  restart(durable: boolean): void {
    for (const topic of this.topics.values()) topic.slots.clear();
    if (durable) {
      for (const session of this.sessions) this.lost(session);
      return;
    }
    for (const session of this.sessions) session.ended = true;
    this.sessions.clear();
    this.rooms.clear();
    this.topics.clear();
    this.#keys.clear();
  }

  serverPublish(topic: string, n: number): void {
    this.#add(topic, `notice ${JSON.stringify({ n })}`);
  }

  apply(session: ModelSession, op: Op): Refusal {
    switch (op.do) {
      case 'join':
        return this.join(session, op.room, true);
      case 'leave':
        if (!session.topics.has(`room:${op.room}`)) return undefined;
        this.#exit(session, `room:${op.room}`);
        this.#depart(session, op.room, 'left');
        return undefined;
      case 'subscribe':
        session.topics.add(op.topic);
        return undefined;
      case 'unsubscribe':
        this.#exit(session, op.topic);
        return undefined;
      case 'publish':
        if (!session.topics.has(op.topic)) return 'not_subscribed';
        if (op.key !== undefined && this.#keys.has(op.key)) return undefined;
        if (op.key !== undefined) this.#keys.add(op.key);
        this.#add(op.topic, `said ${JSON.stringify({ n: op.n })}`);
        return undefined;
      case 'volatile': {
        if (!session.topics.has(op.topic)) return 'not_subscribed';
        const { slots } = this.topic(op.topic);
        let own = slots.get(session);
        if (own === undefined) slots.set(session, (own = new Map<string, number>()));
        own.set(op.slot, op.n);
        return undefined;
      }
      default:
        return this.#hold(session, op);
    }
  }

  join(session: ModelSession, roomId: string, create: boolean): Refusal {
    let room = this.rooms.get(roomId);
    if (room === undefined) {
      if (!create) return 'room_not_found';
      this.rooms.set(roomId, (room = new ModelRoom()));
      this.#tell(roomId, 'room:update created');
    }
    const { user } = session;
    const member = room.members.get(user);
    if (member === undefined) {
      room.members.set(user, [session]);
      this.#tell(roomId, `member:joined ${user} 1`);
      if (room.host === undefined) this.#host(roomId, room, user);
    } else if (!member.includes(session)) {
      member.push(session);
      this.#tell(roomId, `member:online ${user} ${member.length}`);
    }
    session.topics.add(`room:${roomId}`);
    return undefined;
  }

  #hold(session: ModelSession, op: Extract<Op, { readonly room: string }>): Refusal {
    const room = this.rooms.get(op.room);
    if (room === undefined || !session.topics.has(`room:${op.room}`)) return 'not_member';
    switch (op.do) {
      case 'lock': {
        if (room.locks.has(op.target)) return 'lock_held';
        room.locks.set(op.target, { session, due: this.now + this.#leaseMs });
        this.#tellLock(op.room, op.target, session.user);
        return undefined;
      }
      case 'unlock':
        // An old token releases nothing.
        if (op.lock !== undefined && room.locks.get(op.target) === op.lock) this.#unlock(op.room, op.target);
        return undefined;
      case 'take':
        if (room.presenter === session) return undefined;
        if (room.presenter !== undefined) return 'lock_held';
        this.#present(op.room, room, session);
        return undefined;
      default:
        if (room.presenter !== session) return 'not_holder';
        this.#present(op.room, room, undefined);
        return undefined;
    }
  }

  #exit(session: ModelSession, topic: string): void {
    session.topics.delete(topic);
    this.topic(topic).slots.delete(session);
    this.#settle(topic);
  }

  /** Volatile values live no longer than somebody is there to see them. */
  #settle(topic: string): void {
    if (this.connectedIn(topic) === 0) this.topic(topic).slots.clear();
  }

  #depart(session: ModelSession, roomId: string, reason: string): void {
    const room = this.rooms.get(roomId) as ModelRoom;
    for (const [target, lock] of room.locks) if (lock.session === session) this.#unlock(roomId, target);
    if (room.presenter === session) this.#present(roomId, room, undefined);
    const { user } = session;
    const others = (room.members.get(user) ?? []).filter((other) => other !== session);
    if (others.length > 0) {
      room.members.set(user, others);
      this.#tell(roomId, `member:online ${user} ${others.length}`);
      return;
    }
    room.members.delete(user);
    this.#tell(roomId, `member:left ${user} ${reason}`);
    if (room.host === user) this.#host(roomId, room, [...room.members.keys()][0]);
  }

  #unlock(roomId: string, target: string): void {
    this.rooms.get(roomId)?.locks.delete(target);
    this.#tellLock(roomId, target, 'nobody');
  }

  #tellLock(roomId: string, target: string, who: string): void {
    this.#tell(roomId, `lock:update ${target} ${who}`);
    if (target === METADATA_TARGET) this.#tell(roomId, `room:update metadataLocked=${who}`);
  }

  #present(roomId: string, room: ModelRoom, session: ModelSession | undefined): void {
    room.presenter = session;
    this.#tell(roomId, `presenter:update ${session?.user ?? 'nobody'}`);
    this.#tell(roomId, `room:update presenterSid=${session === undefined ? 'nobody' : 'a session'}`);
  }

  #host(roomId: string, room: ModelRoom, user: string | undefined): void {
    room.host = user;
    this.#tell(roomId, `host:update ${user ?? 'nobody'}`);
  }

  #tell(roomId: string, text: string): void {
    this.#add(`room:${roomId}`, text);
  }

  #add(topic: string, text: string): void {
    this.topic(topic).added.push(text);
  }
}
