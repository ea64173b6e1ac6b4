/**
 * One shared connection with everything that runs over it. Frames come in here and go to who waits
 * for them: answers to requests, calls to handlers, the rest to topics.
 */
import type { Position, Value, Welcome } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { Connection, type ConnectionHooks } from './connection.js';
import type { Context } from './context.js';
import { Handlers } from './handlers.js';
import { Overview } from './overview.js';
import { Renewal } from './renewal.js';
import { Requests } from './requests.js';
import { FollowedRoom } from './room.js';
import type { Settings } from './settings.js';
import { Topics } from './topics.js';

export class Core implements Context, ConnectionHooks {
  readonly settings: Settings;
  /** Who shares it; closed by the last. */
  clients = 0;
  readonly connection: Connection;
  readonly requests: Requests;
  readonly topics: Topics;
  readonly handlers: Handlers;
  readonly overview: Overview;
  /** By topic. */
  readonly #rooms = new Map<string, FollowedRoom>();
  readonly #renewal: Renewal;
  readonly #unlisten: () => void;

  constructor(settings: Settings) {
    this.settings = settings;
    const send = (bytes: Uint8Array): void => this.connection.send(bytes);
    this.connection = new Connection(settings, this);
    this.requests = new Requests(settings.timers, send, (topic) => this.#rooms.get(topic as string)?.joining);
    this.topics = new Topics(this.requests);
    this.handlers = new Handlers(send, settings.report);
    this.overview = new Overview(this);
    this.#renewal = new Renewal(this);
    this.#unlisten = listenToPage({
      online: () =>
        this.connection.state.get().status === 'offline' ? this.connection.retry() : this.connection.probe(),
      offline: () => this.connection.probe(),
      resume: () => this.connection.probe(),
    });
    void this.connection.connect();
  }

  room(id: string): FollowedRoom {
    const topic = `room:${id}`;
    let room = this.#rooms.get(topic);
    if (!room) this.#rooms.set(topic, (room = new FollowedRoom(this, id)));
    return room;
  }

  reconnect(): void {
    if (this.connection.state.get().status === 'refused') this.requests.over = false;
    this.connection.retry();
  }

  close(): void {
    this.#unlisten();
    this.connection.close();
  }

  resume(): [topic: string, Position][] {
    return this.topics.positions();
  }

  welcome(welcome: Welcome): void {
    this.#renewal.schedule(welcome.expiresAt);
    // Rooms that must be joined again go first; what waited for the connection may need them.
    this.requests.live(welcome.limits.messageBytes);
    this.topics.welcome(welcome);
    this.requests.flush();
  }

  frame(frame: Value[]): void {
    switch (frame[0]) {
      case Op.ACK:
      case Op.NACK:
        this.requests.answer(frame);
        break;
      case Op.CALL:
        void this.handlers.call(frame[1] as number, frame[2] as string, frame[3] ?? null);
        break;
      case Op.CANCEL:
        this.handlers.cancel(frame[1] as number);
        break;
      default:
        this.topics.frame(frame);
    }
  }

  down(final: boolean): void {
    this.#renewal.stop();
    this.requests.down(final);
    this.handlers.down();
    if (final) this.topics.end();
  }
}

/** What a browser knows about the network and about the page's sleep. Elsewhere nothing. */
function listenToPage(listeners: Readonly<Record<string, () => void>>): () => void {
  const stop = new AbortController();
  if (typeof document !== 'undefined') {
    for (const target of [globalThis, document]) {
      for (const [name, run] of Object.entries(listeners)) target.addEventListener(name, run, stop);
    }
  }
  return () => stop.abort();
}
