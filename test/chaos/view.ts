/**
 * What one subscriber hears of one topic, over all the clients it has, as the recorder writes it down. A room is joined
 * instead of subscribed to, and holds a state that must be the server's in the end.
 */
import type { Client, Position, Room } from '../../src/client/node.js';
import { roomOf, type EntryOf } from './history.js';
import type { Recorder } from './recorder.js';

export class View {
  readonly who: string;
  readonly topic: string;
  /** The last event, or RESET, that it heard of. */
  at: Position | undefined;
  protected readonly recorder: Recorder;
  /** Whoever was replaced hears no more of what counts. */
  #turn = 0;
  readonly #delivered: () => void;

  constructor(who: string, topic: string, recorder: Recorder, delivered: () => void) {
    this.who = who;
    this.topic = topic;
    this.recorder = recorder;
    this.#delivered = delivered;
  }

  /** Goes on with this client, from where it stands. */
  async open(client: Client): Promise<void> {
    const { who, topic, recorder } = this;
    const hearing = this.hearing();
    const begin: EntryOf<'begin'> | undefined =
      this.at === undefined ? recorder.note({ kind: 'begin', who, topic }) : undefined;
    const subscription = client.subscribe(topic, { from: this.at });
    recorder.hear(who, subscription, hearing);
    const ready = await subscription.ready;
    if (begin !== undefined) begin.at = ready?.position;
    this.at ??= begin?.at;
  }

  leave(): void {
    this.#turn++;
  }

  protected hearing() {
    const turn = ++this.#turn;
    return {
      listening: () => turn === this.#turn,
      moved: (at: Position) => {
        this.at = at;
        this.#delivered();
      },
    };
  }
}

export class RoomView extends View {
  room: Room | undefined;

  override async open(client: Client): Promise<void> {
    const { who, topic, recorder } = this;
    const hearing = this.hearing();
    const room = (this.room = client.room(roomOf(topic)));
    recorder.note({ kind: 'begin', who, topic });
    recorder.hear(who, room, { ...hearing, stream: client.listen(topic) });
    room.on('removed', () => {
      if (!hearing.listening()) return;
      // What an application does: it makes the room again.
      recorder.note({ kind: 'begin', who, topic });
      room.join({ create: true }).catch((error: unknown) => {
        // Replaced meanwhile, its client is closed.
        if (hearing.listening()) recorder.problem(`${who} cannot join ${room.id} again: ${String(error)}`);
      });
    });
    await room.join({ create: true });
  }
}
