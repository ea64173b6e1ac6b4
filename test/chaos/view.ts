/**
 * What one subscriber saw of one topic, over all the connections and clients it has had, for history.ts to judge. A
 * room is joined instead of subscribed to, and holds a state that must be the server's in the end.
 */
import type { Client, Position, Room, Subscription } from '../../src/client/node.js';
import type { At, SeenEvent, SeenReset, SubscriberRecord } from './history.js';

export interface Payload {
  readonly w: string;
  readonly s: number;
}
export const EVENT = 'message';

export interface ViewHooks {
  delivered(): void;
  problem(text: string): void;
  /** The store forgets its rooms with the server: they are made again. */
  readonly forgets: boolean;
}

interface Removed {
  readonly code: number;
  readonly reason: string;
  readonly listening: () => boolean;
}

export class View {
  readonly record: Omit<SubscriberRecord, 'from' | 'seen'> & { from: At; readonly seen: (SeenEvent | SeenReset)[] };
  /** The last event, or reset, that it heard of. */
  at: Position | undefined;
  protected readonly hooks: ViewHooks;
  /** Whoever was replaced hears no more of what counts. */
  #turn = 0;

  constructor(name: string, topic: string, hooks: ViewHooks) {
    this.record = { name, topic, from: ['', 0], seen: [] };
    this.hooks = hooks;
  }

  static of(name: string, topic: string, hooks: ViewHooks): View {
    return topic.startsWith('room:') ? new RoomView(name, topic, hooks) : new View(name, topic, hooks);
  }

  /** Goes on with this client, from where it stands. */
  async open(client: Client): Promise<void> {
    const listening = this.turn();
    const subscription = client.subscribe(this.record.topic, { from: this.at });
    this.follow(subscription, subscription, listening);
    const ready = await subscription.ready;
    if (this.at !== undefined) return;
    const { position } = ready as { position: Position };
    this.at = this.record.from = position;
  }

  leave(): void {
    this.#turn++;
  }

  /** Begins a turn; says whether it lasts. */
  protected turn(): () => boolean {
    const turn = ++this.#turn;
    return () => turn === this.#turn;
  }

  /** `stream` knows the epoch that `heard` is in. */
  protected follow(heard: Subscription | Room, stream: Subscription, listening: () => boolean): void {
    heard.on('*', (data: unknown, { event, from, offset }) => {
      // Volatile values have no place in the log.
      if (!listening() || offset === null) return;
      const at: Position = [stream.position?.[0] as string, offset];
      this.before(at);
      if (from === null) {
        this.record.seen.push({ at, writer: `server ${event} ${JSON.stringify(data)}`, seq: offset, byServer: true });
      } else {
        const { w, s } = data as Payload;
        this.record.seen.push({ at, writer: w, seq: s });
      }
      this.at = at;
      this.hooks.delivered();
    });
    heard.on('reset', ({ position }) => {
      if (!listening()) return;
      this.record.seen.push({ reset: position });
      this.at = position;
    });
    heard.on('removed', ({ code, reason }) => {
      if (listening()) this.removed(heard, { code, reason, listening });
    });
  }

  protected before(_at: Position): void {}

  protected removed(_heard: Subscription | Room, { code, reason }: Removed): void {
    this.hooks.problem(`${this.record.name}: removed from ${this.record.topic}: ${code} ${reason}`);
  }
}

const ROOM_NOT_FOUND = 120;

export class RoomView extends View {
  room: Room | undefined;
  /** Times it joined as somebody new. */
  joins = 0;
  /** What comes first is where it begins. A gap even there would be the SDK's to tell. */
  #begins: 'anew' | 'told' | undefined;

  get roomId(): string {
    return this.record.topic.slice('room:'.length);
  }

  override async open(client: Client): Promise<void> {
    const listening = this.turn();
    const room = (this.room = client.room(this.roomId));
    this.#begins = 'anew';
    this.joins++;
    this.follow(room, client.listen(this.record.topic), listening);
    await room.join({ create: true });
  }

  protected override before([epoch, offset]: Position): void {
    if (this.#begins === undefined) return;
    const position: Position = [epoch, offset - 1];
    if (this.at === undefined) this.record.from = position;
    else this.record.seen.push({ reset: position, anew: this.#begins === 'anew' });
    this.#begins = undefined;
  }

  protected override removed(heard: Room, ended: Removed): void {
    if (!this.hooks.forgets || ended.code !== ROOM_NOT_FOUND) return super.removed(heard, ended);
    // What an application does: it makes the room again.
    this.#begins = 'told';
    this.joins++;
    heard.join({ create: true }).catch((error: unknown) => {
      // Replaced meanwhile, its client is closed.
      if (ended.listening())
        this.hooks.problem(`${this.record.name} cannot join ${this.roomId} again: ${String(error)}`);
    });
  }
}
