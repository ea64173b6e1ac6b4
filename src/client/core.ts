/**
 * One shared connection with everything that runs over it. Frames come in here and go to who waits
 * for them: answers to requests, calls to handlers, the rest to topics.
 */
import { RoomwireError } from '../protocol/errors.js';
import type { Positions, Value, Welcome } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { Connection, type ConnectionHooks } from './connection.js';
import type { Context } from './context.js';
import { Handlers } from './handlers.js';
import { Overview } from './overview.js';
import type { Owner } from './owned.js';
import { listenToPage } from './page.js';
import { Renewal } from './renewal.js';
import { Requests, type Carrier } from './requests.js';
import { FollowedRoom } from './room.js';
import type { Settings } from './settings.js';
import { Topics } from './topics.js';
import { WeakValues } from './weak-values.js';

export class Core implements Context, Carrier, ConnectionHooks {
  declare readonly settings: Settings;
  /** Who shares it; closed by the last. */
  clients = 0;
  declare readonly connection: Connection;
  declare readonly requests: Requests;
  readonly streams = new Topics(this);
  readonly handlers = new Handlers(this);
  declare readonly overview: Overview;
  /** By topic. Those that are joined, heard or held by the application. */
  readonly #rooms = new WeakValues<FollowedRoom>();
  readonly #renewal: Renewal;
  readonly #unlisten: () => void;

  constructor(settings: Settings) {
    this.settings = settings;
    this.requests = new Requests(this);
    this.#renewal = new Renewal(this);
    this.connection = new Connection(settings, this);
    this.overview = new Overview(this);
    this.#unlisten = listenToPage(this.connection);
    void this.connection.connect();
  }

  room(id: string): FollowedRoom {
    return this.#rooms.getOrMake(`room:${id}`, () => new FollowedRoom(this, id));
  }

  isJoining(topic: string): boolean {
    return this.streams.beginning(topic) || !!this.#rooms.get(topic)?.joining;
  }

  /** One of the clients that share it goes, with what it alone was in. */
  disown(owner: Owner): void {
    if (this.clients > 1) for (const shared of [...this.#rooms.values(), this.overview]) shared.disown(owner);
  }

  reconnect(): void {
    if (this.connection.status === 'refused') this.requests.over = false;
    this.connection.retry();
  }

  close(): void {
    this.#unlisten();
    this.connection.close();
  }

  toResume(bytes: number): Positions {
    return this.streams.toResume(bytes);
  }

  welcome(welcome: Welcome, resumed: Positions): void {
    this.#renewal.schedule(welcome.expiresAt);
    // Rooms that must be joined again go first; what waited for the connection may need them.
    this.requests.welcome(welcome.limits);
    this.streams.welcome(welcome, resumed);
    this.requests.flush();
  }

  onFrame(frame: Value[]): boolean {
    switch (frame[0]) {
      case Op.ACK:
      case Op.NACK:
        return this.requests.answer(frame);
      case Op.CALL:
        void this.handlers.call(frame[1] as number, frame[2] as string, frame[3] ?? null);
        break;
      case Op.CANCEL:
        this.handlers.cancel(frame[1] as number);
        break;
      default:
        this.streams.onFrame(frame);
    }
    return false;
  }

  down(final: boolean): void {
    this.#renewal.stop();
    this.requests.down(final);
    this.handlers.down();
    if (!final) return;
    this.streams.end();
    // Those that waited for a subscription, or for the time to try again.
    for (const shared of [...this.#rooms.values(), this.overview]) {
      // Who was told may have asked for a new connection: then these come back with it.
      if (this.requests.over) shared.end(new RoomwireError('disconnected'));
    }
  }
}
