/**
 * A client of Socket.IO's shape over roomwire: `emit` is a call, `on` hears the events of every topic that the session is
 * in. What cannot be so is refused aloud: an emit that the contract has no call for, a gap that nobody listens for.
 */
import { closes } from '../../protocol/codes.js';
import { RoomwireError } from '../../protocol/errors.js';
import type { Value } from '../../protocol/frames.js';
import { MAX_PENDING } from '../bounds.js';
import { call } from '../context.js';
import { newId } from '../new-id.js';
import { settingsOf, type Settings } from '../settings.js';
import type { CallOptions, ClientState, EventInfo } from '../types.js';
import { Listeners, type Listener } from './listeners.js';
import { SocketCore } from './socket-core.js';
import type {
  AnswerOf,
  AnyListener,
  ArgsOf,
  AuthSource,
  ConnectError,
  DataOf,
  DefaultEventsMap,
  EventsMap,
  ListenerOf,
  OwnEvents,
  SocketOptions,
} from './types.js';

/** Of what has left and may be repeated; a server remembers keys for longer. */
const EMIT_MS = 60_000;
const OWN = ['connect', 'disconnect', 'connect_error', 'roomwire:reset', 'roomwire:removed'];

interface Flags {
  readonly timeoutMs?: number | undefined;
  readonly volatile?: boolean;
}
type Names<M> = keyof M & string;

/** Where a sender's calls go. */
interface Exit {
  send(name: string, args: readonly unknown[], flags: Flags, options?: CallOptions): Promise<Value>;
  /** What failed and nobody waits for. `name`: what was emitted. */
  refused(error: unknown, name?: string): void;
}

/** What may be emitted, with the flags that were set before. */
export class Sender<Emits extends EventsMap> {
  readonly #exit: Exit;
  readonly #flags: Flags;

  constructor(exit: Exit, flags: Flags) {
    this.#exit = exit;
    this.#flags = flags;
  }

  /** What follows has to be answered in so many ms, of which those without a connection count. */
  timeout(timeoutMs: number): Sender<Emits> {
    return new Sender(this.#exit, { ...this.#flags, timeoutMs });
  }

  /** Dropped while there is no connection, and not repeated. */
  get volatile(): Sender<Emits> {
    return new Sender(this.#exit, { ...this.#flags, volatile: true });
  }

  /**
   * Calls `name`. A last argument that is a function gets the answer, or with a timeout the error and the answer.
   * Without one, what fails is told to `onError`.
   */
  emit<E extends Names<Emits>>(name: E, ...args: ArgsOf<Emits, E>): this {
    const data: unknown[] = [...args];
    const ack = typeof data.at(-1) === 'function' ? (data.pop() as (...answer: unknown[]) => void) : undefined;
    const { timeoutMs } = this.#flags;
    const sent = this.#exit.send(name, data, this.#flags);
    // Apart from the answer: what the program's function throws is not a refusal.
    sent
      .then(
        (answer) => (timeoutMs === undefined ? ack?.(answer) : ack?.(null, answer)),
        (error: unknown) => (ack && timeoutMs !== undefined ? ack(error) : this.#exit.refused(error, name)),
      )
      .catch((error: unknown) => this.#exit.refused(error));
    return this;
  }

  /** Rejects with RoomwireError: the server's code, `deadline`, or `disconnected`. */
  emitWithAck<E extends Names<Emits>>(name: E, ...args: DataOf<ArgsOf<Emits, E>>): Promise<AnswerOf<ArgsOf<Emits, E>>> {
    return this.#exit.send(name, args, this.#flags) as Promise<AnswerOf<ArgsOf<Emits, E>>>;
  }
}

export class Socket<
  Listens extends EventsMap = DefaultEventsMap,
  Emits extends EventsMap = Listens,
> extends Sender<Emits> {
  /** The session's, while connected. It survives a reconnect that `recovered`. */
  id: string | undefined;
  connected = false;
  /** Nothing was missed since the last connection: every topic goes on where it was. */
  recovered = false;
  /** Read at each connect. */
  auth: AuthSource | undefined;
  readonly #settings: Settings;
  readonly #reconnection: boolean;
  readonly #listeners: Listeners;
  #core: SocketCore | undefined;
  /** What was emitted without a connection. */
  readonly #waiting = new Set<() => void>();
  /** What was refused aloud already. */
  readonly #unknown = new Set<string>();

  constructor(url: string, options: SocketOptions = {}) {
    super(
      { send: (...sent) => this.#send(...sent), refused: (error, name) => this.#refused(error, name) },
      { timeoutMs: options.ackTimeout },
    );
    for (const name of ['query', 'extraHeaders']) {
      if (name in options) throw new TypeError(`${name}: is not sent; the token is taken from auth: { token }`);
    }
    const { auth, autoConnect = true, reconnection = true, reconnectionDelay: baseMs } = options;
    this.auth = auth;
    this.#reconnection = reconnection;
    this.#settings = settingsOf(url, {
      ...options,
      token: () => this.#token(),
      backoff: { baseMs, maxMs: options.reconnectionDelayMax },
    });
    this.#listeners = new Listeners(this.#settings.report);
    if (autoConnect) this.connect();
  }

  get disconnected(): boolean {
    return !this.connected;
  }

  /** It is connected, or will be without being told to. */
  get active(): boolean {
    return this.#core !== undefined && this.#core.connection.status !== 'refused';
  }

  /** Adds a listener, which gets an event's data and where it came from; of a server's call, its data and the answer's function. */
  on<E extends Names<OwnEvents> | Names<Listens>>(event: E, listener: ListenerOf<Listens, E>): this {
    this.#listeners.add(event, listener);
    return this;
  }

  once<E extends Names<OwnEvents> | Names<Listens>>(event: E, listener: ListenerOf<Listens, E>): this {
    this.#listeners.add(event, listener, true);
    return this;
  }

  off<E extends Names<OwnEvents> | Names<Listens>>(event?: E, listener?: ListenerOf<Listens, E>): this {
    if (event === undefined) this.#listeners.clear();
    else this.#listeners.remove(event, listener);
    return this;
  }

  /** Hears every event before those of its name do. */
  onAny(listener: AnyListener): this {
    this.#listeners.add(undefined, listener);
    return this;
  }

  offAny(listener?: AnyListener): this {
    this.#listeners.remove(undefined, listener);
    return this;
  }

  listeners(event: string): Listener[] {
    return this.#listeners.of(event);
  }

  /** As `emitWithAck`, with the options of the SDK's `call`. */
  call(name: string, input?: unknown, options?: CallOptions): Promise<Value> {
    return this.#send(name, input === undefined ? [] : [input], {}, options);
  }

  connect(): this {
    if (this.active) {
      this.#core?.reconnect();
      return this;
    }
    this.#core?.close();
    const core = (this.#core = new SocketCore(this.#settings, {
      onEvent: (data, info) => this.#event(data, info),
      lost: (what, told) => this.#lost(what, told),
      asked: (name, input, signal) => this.#asked(name, input, signal),
      recovered: (all) => {
        this.recovered = all;
      },
    }));
    core.connection.state.subscribe((state) => {
      if (core === this.#core) this.#changed(state);
    });
    return this;
  }

  /** Ends the session. What is emitted from here on waits for the next `connect()`. */
  disconnect(): this {
    const core = this.#core;
    this.#core = undefined;
    core?.close();
    if (this.connected) this.#down('io client disconnect');
    return this;
  }

  #send(name: string, args: readonly unknown[], flags: Flags, options?: CallOptions): Promise<Value> {
    if (OWN.includes(name)) throw new TypeError(`"${name}" is a reserved event name`);
    const input = args.length > 1 ? args : args.length > 0 ? args[0] : {};
    const { timeoutMs, volatile } = flags;
    const { clock } = this.#settings;
    const begun = clock.now();
    const leave = (): Promise<Value> => {
      const core = this.#core as SocketCore;
      const most = Math.min(EMIT_MS, core.connection.welcome?.limits['keyTtlMs'] ?? EMIT_MS);
      return call(core, name, input, {
        key: volatile ? undefined : newId(),
        timeoutMs: timeoutMs === undefined ? most : Math.max(1, timeoutMs - (clock.now() - begun)),
        ...options,
      });
    };
    if (this.connected) return leave();
    return new Promise((resolve, reject) => {
      if (volatile) throw new RoomwireError('disconnected');
      if (this.#waiting.size >= MAX_PENDING) throw new RoomwireError('too_many');
      const send = (): void => {
        alarm();
        resolve(leave());
      };
      const late = (): void => {
        this.#waiting.delete(send);
        reject(new RoomwireError('deadline'));
      };
      const wait = options?.timeoutMs ?? timeoutMs;
      const alarm = clock.alarm();
      if (wait !== undefined) alarm(wait, late);
      this.#waiting.add(send);
    });
  }

  /** A call that there is not is told once. */
  #refused(error: unknown, name?: string): void {
    const { name: code, message } = error as Error;
    // Dropped as asked, or with the connection that the program ended itself.
    if (code === 'disconnected' && name !== undefined) return;
    if (code === 'unknown_call') {
      if (this.#unknown.has(name as string) || this.#unknown.size >= MAX_PENDING) return;
      this.#unknown.add(name as string);
    }
    this.#settings.report(
      name === undefined ? error : new Error(`emit('${name}') was refused: ${code}: ${message}`, { cause: error }),
    );
  }

  #event(data: Value, info: EventInfo): void {
    this.#listeners.tell(undefined, [info.event, data, info]);
    if (!OWN.includes(info.event)) this.#listeners.tell(info.event, [data, info]);
  }

  #lost(what: Names<OwnEvents>, told: object): void {
    const isHeard = this.#listeners.of(what).length > 0;
    this.#listeners.tell(what, [told]);
    // On a new connection `recovered` says it.
    if (this.connected && !isHeard && what === 'roomwire:reset')
      this.#settings.report(new Error(`events were missed: listen for ${what}`, { cause: told }));
  }

  /** Answered by the first that calls its second argument; at once where nobody has one. */
  #asked(name: string, input: Value, signal: AbortSignal): Promise<unknown> {
    return new Promise((resolve, reject) => {
      const listeners = this.#listeners.of(name);
      const any = this.#listeners.of(undefined);
      if (listeners.length + any.length === 0) throw new RoomwireError('unknown_call', `no listener for ${name}`);
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      this.#listeners.tell(undefined, [name, input, resolve], reject);
      this.#listeners.tell(name, [input, resolve], reject);
      if (!listeners.some(({ length }) => length > 1)) resolve(null);
    });
  }

  #changed({ status, reason, sid }: ClientState): void {
    if (status === 'live') {
      if (this.connected) return;
      this.connected = true;
      this.id = sid;
      // First those who join again: what waited may need it.
      this.#listeners.tell('connect', []);
      for (const send of this.#waiting) {
        if (!this.connected) break;
        this.#waiting.delete(send);
        send();
      }
    } else if (status !== 'connecting' && reason) {
      if (this.connected) {
        const byServer = status === 'refused';
        const isSilence = reason.code === closes.ping_timeout;
        this.#down(byServer ? 'io server disconnect' : isSilence ? 'ping timeout' : 'transport close', reason);
      } else this.#listeners.tell('connect_error', [Object.assign(new Error(reason.name), { data: reason })]);
      if (status === 'offline' && !this.#reconnection) this.disconnect();
    }
  }

  #down(reason: string, details?: ConnectError['data']): void {
    this.connected = false;
    this.id = undefined;
    this.#listeners.tell('disconnect', [reason, details]);
  }

  #token(): Promise<string | null | undefined> {
    return new Promise((resolve, reject) => {
      const { auth } = this;
      const given = (result: { readonly token?: string | null | undefined } | void): void => {
        if (result) resolve(result.token);
      };
      if (typeof auth !== 'function') given(auth ?? {});
      else Promise.resolve(auth(given)).then(given, reject);
    });
  }
}
