/** One open room: joined when it is opened, left when another is, drawn anew with every change of its state. */
import { RoomwireError, type Member, type RemovedInfo, type RoomState } from '../../client/index.js';
import { errors } from '../../protocol/codes.js';
import type { Admin } from './admin.js';
import { Chat } from './chat.js';
import { confirmed } from './confirm.js';
import type { PageClient, PageRoom } from './contract.js';
import { byId, h, setText } from './dom.js';
import { isolated } from './isolated.js';
import { LockPanel } from './lock-panel.js';
import { MemberLag } from './member-lag.js';
import { attempt, notice, textOf } from './notices.js';
import { pillsOf } from './pills.js';
import { PresenterPanel } from './presenter.js';
import { deleteRoom, hideRoom, type Writing } from './rest.js';
import { RoomLocks } from './room-locks.js';
import { hashOf } from './route.js';

export interface RoomViewOptions {
  readonly client: PageClient;
  readonly admin: Admin;
  readonly token: string | undefined;
  /** Store time in ms. */
  readonly now: () => number;
  /** Back to the overview. */
  readonly back: () => void;
  /** There is no such room. */
  readonly missing: (roomId: string) => void;
}

export class RoomView {
  readonly #options: RoomViewOptions;
  readonly #section = byId('room', HTMLElement);
  readonly #hide = byId('hide', HTMLButtonElement);
  readonly #chat: Chat;
  readonly #lock: LockPanel;
  readonly #presenter: PresenterPanel;
  readonly #lag: MemberLag;
  readonly #locks: RoomLocks;
  /** Of everyone seen in this room: who left is no longer in its state. */
  readonly #names = new Map<string, string>();
  #room: PageRoom | undefined;
  #deleting = false;
  /** Its status before the last one: who was in it when it went saw it deleted. */
  #before: RoomState['status'] = 'idle';
  #stop: (() => void)[] = [];

  constructor(options: RoomViewOptions) {
    const { client, admin, now, back } = options;
    this.#options = options;
    this.#chat = new Chat(client);
    this.#lock = new LockPanel(now);
    this.#presenter = new PresenterPanel(client);
    this.#locks = new RoomLocks(options);
    this.#lag = new MemberLag(admin, () => this.#draw());
    byId('leave', HTMLButtonElement).addEventListener('click', back);
    this.#hide.addEventListener('click', () => attempt(() => this.#hideOrShow()));
    byId('delete', HTMLButtonElement).addEventListener('click', () => attempt(() => this.#delete()));
  }

  async open(roomId: string, create: boolean): Promise<void> {
    this.close();
    const room = this.#options.client.room(roomId);
    this.#room = room;
    this.#deleting = false;
    this.#before = 'idle';
    this.#chat.open(room);
    this.#lock.open(room);
    this.#presenter.open(room);
    this.#locks.open(roomId);
    this.#stop = [
      room.state.subscribe(({ status }) => {
        if (status !== 'deleted') this.#before = status;
        this.#draw();
      }),
      room.on('removed', (removed) => this.#removed(room, removed)),
      room.on('reset', ({ reason }) => this.#chat.note(`some events were missed (${reason})`)),
      room.on('member:joined', ({ member }) => this.#chat.note(`${isolated(member.name)} joined`)),
      room.on('member:left', ({ userId, reason }) =>
        this.#chat.note(`${isolated(this.#nameOf(userId))} left (${isolated(reason)})`),
      ),
    ];
    setText(byId('room-title', HTMLElement), roomId);
    byId('room-link', HTMLAnchorElement).href = hashOf(roomId);
    this.#draw();
    try {
      await room.join({ create });
      if (room !== this.#room) return;
      this.#lag.open(room.topic);
      this.#draw();
    } catch (error) {
      if (room !== this.#room) return;
      this.close();
      if (error instanceof RoomwireError && error.name === 'room_not_found') this.#options.missing(roomId);
      else {
        notice(`${isolated(roomId)} could not be joined. ${textOf(error)}`, 'problem');
        this.#options.back();
      }
    }
  }

  close(): void {
    const room = this.#room;
    if (room === undefined) return;
    this.#room = undefined;
    for (const stop of this.#stop) stop();
    this.#chat.close();
    this.#lock.close();
    this.#presenter.close();
    this.#lag.close();
    this.#locks.close();
    this.#names.clear();
    const { status } = room.state.get();
    // Without a connection there is nobody to tell; the server ends the membership by itself.
    if (status === 'joined' || status === 'joining') room.leave().catch(() => undefined);
  }

  tick(): void {
    this.#lock.tick();
    this.#locks.tick();
  }

  #removed(room: PageRoom, { code, reason }: RemovedInfo): void {
    // The connection was refused, which the bar says; after a way back in the room is joined again.
    if (code === errors.disconnected) return;
    if (room.state.get().status === 'deleted') {
      this.#options.client.rooms.removeRoom(room.id);
      const id = isolated(room.id);
      if (this.#deleting) notice(`You deleted ${id}.`);
      else if (this.#before === 'joined') notice(`${id} was deleted.`);
      else {
        const why = 'A server that keeps nothing forgets its rooms when it restarts.';
        notice(`${id} was not there any more when this tab came back. ${why}`, 'problem');
      }
    } else notice(`You are no longer in ${isolated(room.id)}: ${isolated(reason)}`, 'problem');
    this.#options.back();
  }

  async #hideOrShow(): Promise<void> {
    const room = this.#room;
    if (room === undefined) return;
    await hideRoom(room.id, room.state.get().metadata?.hidden !== true, this.#writing);
  }

  async #delete(): Promise<void> {
    const room = this.#room;
    if (room === undefined || !(await confirmed(`Delete ${isolated(room.id)} for everyone?`, 'Delete'))) return;
    // Another one was opened meanwhile, by the address.
    if (room !== this.#room) return;
    this.#deleting = true;
    try {
      await deleteRoom(room.id, this.#writing);
    } catch (error) {
      this.#deleting = false;
      throw error;
    }
  }

  get #writing(): Writing {
    return { token: this.#options.token, lockToken: this.#lock.token };
  }

  #nameOf(userId: string): string {
    return this.#names.get(userId) ?? userId;
  }

  #draw(): void {
    const room = this.#room;
    if (room === undefined) return;
    const state = room.state.get();
    const { metadata, status, members, memberCount, locks } = state;
    this.#section.setAttribute('aria-busy', String(status !== 'joined'));
    if (metadata !== null && status === 'joined') {
      // The list stands still meanwhile; what this room tells keeps its own line current.
      const { rooms } = this.#options.client;
      if (!metadata.hidden) rooms.setRoom(room.id, metadata);
      else if (rooms.list().some(({ id }) => id === room.id)) rooms.removeRoom(room.id);
      setText(this.#hide, metadata.hidden ? 'Show' : 'Hide');
      byId('room-pills', HTMLElement).replaceChildren(...pillsOf(metadata));
      setText(byId('room-description', HTMLElement), metadata.description ?? '');
      this.#lock.show(metadata.metadataLocked);
      this.#locks.show(locks);
    }
    this.#presenter.show(state);
    const online = members.filter(({ online }) => online > 0).length;
    setText(
      byId('member-count', HTMLElement),
      memberCount === online ? `${online} online` : `${online} of ${memberCount} online`,
    );
    byId('members', HTMLElement).replaceChildren(...members.map((member) => this.#member(member, state)));
  }

  #member({ userId, name, online }: Member, state: RoomState): HTMLElement {
    this.#names.set(userId, name);
    const isMe = userId === this.#options.client.state.get().user?.id;
    const lag = this.#lag.of(userId);
    const badges = [
      isMe ? h('span', { class: 'pill' }, 'you') : undefined,
      state.host?.userId === userId ? h('span', { class: 'pill blue' }, 'host') : undefined,
      state.presenter?.userId === userId ? h('span', { class: 'pill green' }, 'presenter') : undefined,
      lag > 0
        ? h('span', { class: 'pill yellow', title: 'events it has not been sent yet' }, `${lag} behind`)
        : undefined,
      online > 1 ? h('span', { class: 'pill' }, `${online} sessions`) : undefined,
    ];
    return h(
      'li',
      { 'data-testid': 'member', 'data-user': userId, class: online > 0 ? '' : 'away' },
      h('span', { class: 'dot', role: 'img', 'aria-label': online > 0 ? 'online' : 'away' }),
      h('span', { class: 'name', title: userId }, name),
      ...badges,
    );
  }
}
