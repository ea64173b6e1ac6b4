/**
 * The rooms plugin under observation: what it writes of locks, in the order of the store, with the operation each
 * change belongs to. It looks at the transactions alone, so it tells what happened and not what was meant to. What a
 * transaction did that was undone is not told.
 */
import { RoomwireError } from '../../src/protocol/errors.js';
import type { AtomicHandler, Later, Plugin, PluginHost, Session, Transaction, User } from '../../src/server/api.js';
import { rooms, type RoomsApi } from '../../src/rooms/rooms.js';
import { lockName, type EntryOf, type LockEntry } from './history.js';

type Why = 'release' | 'force' | 'leave' | 'time';
interface Cause {
  /** Which server it is in. */
  readonly life: number;
  readonly why: Why;
  readonly owner: string;
  readonly op?: number | undefined;
  readonly token?: number | undefined;
  /** What a refusal is of. */
  readonly lock?: string | undefined;
}
interface Step {
  readonly entry: LockEntry | EntryOf<'server'>;
  committed: boolean;
}
interface HolderRecord {
  readonly token: number;
  readonly sid: string | null;
  readonly userId: string;
  readonly expiresAt: number;
}
interface RoomWrite {
  readonly metadata?: { readonly frameCount?: number };
}
interface LockInput {
  readonly roomId: string;
  readonly target?: string;
  readonly token?: number;
  readonly op?: number;
}

const DEFAULT_TARGET = 'trajectory:meta';
const CAUSES: Readonly<Record<string, Why>> = {
  'lock:release': 'release',
  'lock:force': 'force',
  'leave:room': 'leave',
  'member:kick': 'leave',
};

export class LockTrace {
  readonly #steps: Step[] = [];
  #buffer: LockEntry[] | undefined;
  /** The program's own call that is being made: its transaction is begun before it returns. */
  #asking: Omit<Cause, 'life'> | undefined;
  /** Guarded writes by op: each sets the room's frame count to its op. */
  readonly writes = new Map<number, { readonly lock: string; readonly token: number | undefined }>();
  /** Store time of the last thing that happened. */
  now = 0;
  /** Counts servers: what one that is closed still does is in no store. */
  #life = 0;

  get entries(): Step['entry'][] {
    return this.#steps.filter(({ committed }) => committed).map(({ entry }) => entry);
  }

  restart(forgets: boolean): void {
    this.#life++;
    this.#steps.push({ entry: { kind: 'server', forgets }, committed: true });
  }

  /** A call of the program's own, such as rooms.update, that `cause` names. */
  asking<T>(cause: Omit<Cause, 'why' | 'owner' | 'life'>, call: () => T): T {
    this.#asking = { ...cause, why: 'time', owner: 'program' };
    try {
      return call();
    } finally {
      this.#asking = undefined;
    }
  }

  plugin(): Plugin<'rooms', RoomsApi> {
    // Who may end whose lease is not what is tried here.
    const inner = rooms({ access: () => true });
    return { name: 'rooms', setup: (host) => inner.setup(this.#observed(host)) };
  }

  #observed(host: PluginHost): PluginHost {
    const trace = this as LockTrace;
    const life = this.#life;
    const own: Partial<PluginHost> = {
      transact: (work) => {
        const cause: Omit<Cause, 'life'> = trace.#asking ?? { why: 'time', owner: '' };
        return host.transact((tx) => trace.#watch(tx, { ...cause, life }, () => work(tx)));
      },
      handleAtomic: (name, handler) => host.handleAtomic(name, trace.#watched(host, name, handler)),
      onSessionEnd: (hook) =>
        host.onSessionEnd((tx, session: Session) =>
          trace.#watch(tx, { why: 'leave', owner: session.sid, life }, () => hook(tx, session)),
        ),
    };
    return new Proxy(host, {
      get(target, name) {
        const mine: unknown = Reflect.get(own, name);
        if (mine !== undefined) return mine;
        const value: unknown = Reflect.get(target, name, target);
        return typeof value === 'function' ? (value.bind(target) as unknown) : value;
      },
    });
  }

  #watched(host: PluginHost, name: string, handler: AtomicHandler<never, User>): AtomicHandler<never, User> {
    const life = this.#life;
    return (tx, context) => {
      const { roomId, target = DEFAULT_TARGET, token, op } = context.input as LockInput;
      const lock = name.startsWith('lock:') ? lockName(roomId, target) : undefined;
      const cause: Cause = { why: CAUSES[name] ?? 'time', owner: context.session.sid, op, token, lock, life };
      const later = (): Later => {
        const waiting = context.later();
        if (op !== undefined && lock !== undefined) {
          this.#note({ kind: 'queue', lock, now: tx.now, op });
          this.#follow(waiting, { host, lock, op });
        }
        return waiting;
      };
      return this.#watch(tx, cause, () => handler(tx, { ...context, later }));
    };
  }

  /** How its wait ends. */
  #follow(
    later: Later,
    { host, lock, op }: { readonly host: PluginHost; readonly lock: string; readonly op: number },
  ): void {
    const { answer, refuse, onGone } = later;
    const life = this.#life;
    later.answer = (tx, reply, unclaimed) => {
      const { token } = reply as { token: number };
      const at = this.#buffer?.findIndex((entry) => entry.kind === 'grant' && entry.token === token) ?? -1;
      const grant = this.#buffer?.[at];
      if (this.#buffer !== undefined && grant?.kind === 'grant') this.#buffer[at] = { ...grant, op, waited: true };
      answer.call(later, tx, reply, unclaimed);
    };
    later.refuse = (tx, error) => {
      this.#note({ kind: 'refuse', lock, now: tx.now, op, code: error.code, owner: '', waited: true });
      refuse.call(later, tx, error);
    };
    later.onGone = (fn) =>
      onGone.call(later, () => {
        const entry: LockEntry = { kind: 'gone', lock, now: host.now(), op };
        if (life !== this.#life) return fn();
        // It may have gone before its turn came: then this is a part of the transaction that puts it in line.
        if (this.#buffer === undefined) this.#steps.push({ entry, committed: true });
        else this.#note(entry);
        fn();
      });
  }

  #note(entry: LockEntry): void {
    this.#buffer?.push(entry);
  }

  #watch<T>(tx: Transaction, cause: Cause, work: () => T): T {
    if (cause.life !== this.#life) return work();
    const { set, delete: remove } = tx;
    const buffer: LockEntry[] = [];
    const outer = this.#buffer;
    this.#buffer = buffer;
    const { now } = tx;
    this.now = now;
    const { owner, op, why } = cause;
    tx.set = (table, key, value) => {
      const lock = table === 'holders' ? lockOf(key) : undefined;
      if (lock !== undefined) {
        const { token, sid, userId, expiresAt } = value as HolderRecord;
        const holder = sid ?? userId;
        const before = tx.get<HolderRecord>(table, key);
        if (before?.token === token) this.#note({ kind: 'renew', lock, now, op, token, owner, expiresAt });
        else this.#note({ kind: 'grant', lock, now, op, token, owner: holder, expiresAt, waited: false });
      }
      if (table === 'rooms') this.#wrote(tx, key, value as RoomWrite);
      set.call(tx, table, key, value);
    };
    tx.delete = (table, key) => {
      const lock = table === 'holders' ? lockOf(key) : undefined;
      const before = lock === undefined ? undefined : tx.get<HolderRecord>(table, key);
      if (lock !== undefined && before !== undefined) {
        this.#note({ kind: 'free', lock, now, op, token: before.token, why, owner });
      }
      remove.call(tx, table, key);
    };
    try {
      const result = work();
      const steps = buffer.map((entry) => ({ entry, committed: false }));
      this.#steps.push(...steps);
      if (steps.length > 0) {
        tx.afterCommit(() => {
          for (const step of steps) step.committed = true;
        });
      }
      return result;
    } catch (error) {
      const { lock, token } = cause;
      if (lock !== undefined && op !== undefined && error instanceof RoomwireError) {
        const entry: LockEntry = { kind: 'refuse', lock, now, op, code: error.code, owner, token, waited: false };
        this.#steps.push({ entry, committed: true });
      }
      throw error;
    } finally {
      tx.set = set;
      tx.delete = remove;
      this.#buffer = outer;
    }
  }

  #wrote(tx: Transaction, roomId: string, { metadata }: RoomWrite): void {
    const op = metadata?.frameCount;
    const write = op === undefined ? undefined : this.writes.get(op);
    if (op === undefined || write === undefined) return;
    // What changes the room later repeats the count; only the first is the write.
    const before = tx.get<RoomWrite>('rooms', roomId)?.metadata?.frameCount;
    if (before !== op) this.#note({ kind: 'write', ...write, now: tx.now, op });
  }
}

/** From the key of a holder, if it is a lock's. */
function lockOf(key: string): string | undefined {
  const [roomId = '', kind, ...target] = key.split('\0');
  return kind === 'lock' ? lockName(roomId, target.join('\0')) : undefined;
}
