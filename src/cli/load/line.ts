/**
 * One connection of the load: a socket and session of its own, in the topic. A room is joined with the bare call: the
 * SDK's picture of a room (its members above all) would cost more with each connection, and is not what is measured.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { WebSocket as NodeWebSocket } from 'ws';
import { isTemporary } from '../../client/error-kinds.js';
import { connect } from '../../client/node.js';
import type { Client, ClientState, Handler, Subscription } from '../../client/node.js';
import { messageOf } from '../../protocol/code-texts.js';
import { errors } from '../../protocol/codes.js';
import { CommandError } from '../args.js';

export interface Target {
  /** Of one server, or of several nodes of a cluster: each connection takes the next, as behind a balancer. */
  readonly urls: readonly [string, ...string[]];
  readonly token: string | undefined;
  readonly topic: string;
  /** Make the room when there is none. */
  readonly create: boolean;
}

export interface LineHooks {
  readonly onEvent?: Handler<unknown>;
  /** Told that it missed events. */
  readonly onMissed?: () => void;
  /** It is in the topic no more and will not come back. */
  readonly onGone: (reason: string) => void;
}

export interface Opening {
  /** Ends the wait. */
  readonly signal: AbortSignal;
  /** Fail at the first trouble instead of trying again. */
  readonly once: boolean;
}

const RETRY_MS = 200;
/** How long a balancer does without an address that failed. */
const DEAD_MS = 5_000;

/** A WebSocket that goes to the next of these addresses, whichever it is given; as a balancer, not where nobody listens. */
function balanced(urls: readonly string[]): new (url: string, protocols: string[]) => object {
  const sockets = urls.map((url) => url.replace(/^http/, 'ws'));
  const next = (): string => {
    for (let i = 0; i < sockets.length; i++) {
      const url = sockets[turn++ % sockets.length] as string;
      if ((dead.get(url) ?? 0) < performance.now()) return url;
    }
    return sockets[turn++ % sockets.length] as string;
  };
  return class extends NodeWebSocket {
    constructor(_: string, protocols: string[]) {
      const url = next();
      super(url, protocols);
      // A node that answers without a hub has no such code.
      this.on('error', ({ code }: NodeJS.ErrnoException) => {
        if (code !== undefined) dead.set(url, performance.now() + DEAD_MS);
      });
    }
  };
}

/** Of all connections, as those below. */
let turn = 0;
/** Until when an address is taken for dead. */
const dead = new Map<string, number>();

export class Line {
  readonly client: Client;
  reconnects = 0;
  /** Ms from the start to WELCOME, and from there until it was in the topic. */
  connectMs = 0;
  enterMs = 0;
  /** The topic's head when it got there. */
  enteredAt = 0;
  readonly #target: Target;
  readonly #hooks: LineHooks;
  #welcomes = 0;
  #entered = false;
  #closed = false;
  /** Why the last connection ended. */
  #trouble: ClientState['reason'];

  /** Begins to connect. Throws a TypeError for a URL that can never work. */
  constructor(target: Target, hooks: LineHooks) {
    this.#target = target;
    this.#hooks = hooks;
    this.client = connect(target.urls[0], {
      token: target.token,
      ...(target.urls.length > 1 ? { WebSocket: balanced(target.urls) } : {}),
      agent: 'roomwire-load',
      // Without an instance of its own it would share one socket with all the others.
      instance: crypto.randomUUID(),
      // Failures are counted by who asked; nothing else is reported here.
      onError: () => undefined,
    });
  }

  /** Lost, and not back yet. */
  get offline(): boolean {
    return !this.#closed && this.client.state.get().status !== 'live';
  }

  /** Resolves in the topic, or closes and rejects with a CommandError. */
  async open(opening: Opening): Promise<void> {
    const aborted = new Promise<never>((_resolve, reject) => {
      opening.signal.addEventListener('abort', () => reject(this.#cannotConnect()), { once: true });
    });
    try {
      await Promise.race([this.#open(opening), aborted]);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  close(): void {
    this.#closed = true;
    this.client.close();
  }

  async #open(opening: Opening): Promise<void> {
    const began = performance.now();
    await this.#live(opening.once);
    const live = performance.now();
    const listening =
      joinCall(this.#target) === undefined ? undefined : this.#hear(this.client.listen(this.#target.topic));
    const stream = (await this.#enter(opening.once)) ?? listening;
    this.enteredAt = stream?.position?.[1] ?? 0;
    this.connectMs = live - began;
    this.enterMs = performance.now() - live;
    this.#entered = true;
  }

  #live(once: boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const look = ({ status, reason }: ClientState): void => {
        if (reason !== undefined) this.#trouble = reason;
        if (status === 'live') {
          if (++this.#welcomes > 1) this.reconnects++;
          resolve();
        } else if (status === 'refused' || (status === 'offline' && once)) {
          reject(this.#cannotConnect());
          if (status === 'refused') this.#gone(reason?.message ?? status);
        }
      };
      this.client.state.subscribe(look);
      look(this.client.state.get());
    });
  }

  /** Gets into the topic; a temporary failure is tried again until it is closed. Resolves with a new subscription. */
  async #enter(once: boolean): Promise<Subscription | undefined> {
    const { topic } = this.#target;
    const join = joinCall(this.#target);
    for (;;) {
      const stream = join === undefined ? this.#hear(this.client.subscribe(topic)) : undefined;
      try {
        await (stream?.ready ?? this.client.call(...(join as JoinCall)));
        return stream;
      } catch (error) {
        if (once || this.#closed || !isTemporary(error)) throw this.#cannotEnter(error as Error);
        stream?.unsubscribe();
        await pause(RETRY_MS);
      }
    }
  }

  #hear(stream: Subscription): Subscription {
    const { onEvent, onMissed } = this.#hooks;
    if (onEvent !== undefined) stream.on('*', onEvent);
    if (onMissed !== undefined) stream.on('reset', onMissed);
    stream.on('removed', ({ code, reason }) => {
      if (!this.#entered) return;
      if (code !== errors.join_required) return this.#gone(`removed from ${stream.topic}: ${reason}`);
      // The server forgot the session while it was away: it joins again, and what came between was missed.
      onMissed?.();
      this.#enter(false).catch((error: Error) => this.#gone(error.message));
    });
    return stream;
  }

  #gone(reason: string): void {
    if (this.#closed || !this.#entered) return;
    this.close();
    this.#hooks.onGone(reason);
  }

  #cannotConnect(): CommandError {
    const { code = 0, message = '' } = this.#trouble ?? {};
    const advice =
      code >= 4100 && code < 4200
        ? 'pass a token it takes with --token (roomwire token makes one for development)'
        : 'is it running (roomwire serve), is the --url right, and may it and you open so many sockets (ulimit -n)?';
    return new CommandError(`cannot connect to ${this.#target.urls.join(', ')}: ${message || 'no answer'}; ${advice}`);
  }

  #cannotEnter(error: Error): CommandError {
    const { code } = error as { code?: number };
    const advice =
      code === errors.room_not_found ? 'create the room first, or pass --create' : 'name another with --topic';
    return new CommandError(`cannot get into ${this.#target.topic}: ${messageOf(error)}; ${advice}`);
  }
}

type JoinCall = readonly [name: string, input: object];

/** The call that joins the topic; undefined for one that is subscribed. */
function joinCall({ topic, create }: Target): JoinCall | undefined {
  const [, kind, id] = /^(room|overview):(.+)$/.exec(topic) ?? [];
  if (kind === 'room') return ['join:room', { roomId: id, ...(create ? { create } : {}) }];
  if (kind === 'overview') return ['join:overview', id === 'public' ? {} : { group: id }];
  return undefined;
}
