/** One room's lock: who has it, taking and releasing it, what is left of the lease, and the refusal. */
import { RoomwireError, type Lock, type RoomMetadata } from '../../client/index.js';
import { messageOf } from '../../protocol/code-texts.js';
import { LOCK_TARGET, type PageRoom } from './contract.js';
import { byId, onSubmit, seconds, setText } from './dom.js';
import { isolated, untwisted } from './isolated.js';
import { attempt, notice } from './notices.js';

const TTL_MS = 30_000;

/** What `lock_held` says of the holder. */
interface Refusal {
  readonly userName: string;
  readonly msg: string | null;
  readonly expiresInMs: number | null;
}

export class LockPanel {
  readonly #state = byId('lock-state', HTMLParagraphElement);
  readonly #form = byId('lock-form', HTMLFormElement);
  readonly #message = byId('lock-message', HTMLInputElement);
  readonly #lease = byId('lease', HTMLDivElement);
  readonly #bar = byId('lease-bar', HTMLProgressElement);
  readonly #refusal = byId('refusal', HTMLDivElement);
  /** The server's clock, by which leases end. */
  readonly #now: () => number;
  #room: PageRoom | undefined;
  #lock: Lock | undefined;
  /** Own clock: when the lease that refused us ends. */
  #refusedUntil: number | undefined;
  #holder: RoomMetadata['metadataLocked'] = null;

  constructor(now: () => number) {
    this.#now = now;
    onSubmit(this.#form, () => attempt(() => this.#take()));
    byId('lock-release', HTMLButtonElement).addEventListener('click', () => attempt(() => this.#release()));
  }

  /** The token to send with writes while this tab holds the lock. */
  get token(): number | undefined {
    return this.#lock?.token;
  }

  open(room: PageRoom): void {
    this.close();
    this.#room = room;
  }

  close(): void {
    this.#room = this.#lock = undefined;
    this.#message.value = '';
    this.#holder = null;
    this.#forgive();
  }

  show(holder: RoomMetadata['metadataLocked']): void {
    // Whoever refused us has let go.
    if (holder?.timestamp !== this.#holder?.timestamp) this.#forgive();
    this.#holder = holder;
    this.#draw();
  }

  /** Called a few times a second. */
  tick(): void {
    if (this.#lock !== undefined) {
      const left = this.#lock.expiresAt - this.#now();
      this.#bar.value = Math.min(1, Math.max(0, left / TTL_MS));
      setText(byId('lease-left', HTMLSpanElement), `${seconds(left)} left`);
    }
    if (this.#refusedUntil !== undefined) {
      const left = this.#refusedUntil - Date.now();
      setText(
        byId('refusal-left', HTMLSpanElement),
        left > 0 ? `The lease ends in ${seconds(left)} if not renewed.` : 'The lease was renewed meanwhile; try again.',
      );
    }
  }

  async #take(): Promise<void> {
    const room = this.#room;
    if (room === undefined) return;
    this.#forgive();
    try {
      const lock = await room.lock(LOCK_TARGET, { ttl: TTL_MS, msg: this.#message.value.trim() || null });
      if (room !== this.#room) return;
      this.#lock = lock;
      this.#message.value = '';
      lock.signal.addEventListener('abort', () => this.#lost(lock));
      this.#draw();
      byId('lock-release', HTMLButtonElement).focus();
    } catch (error) {
      if (room !== this.#room) return;
      if (error instanceof RoomwireError && error.name === 'lock_held')
        this.#refuse(error.details as unknown as Refusal);
      else throw error;
    }
  }

  async #release(): Promise<void> {
    const lock = this.#lock;
    this.#lock = undefined;
    this.#draw();
    this.#message.focus();
    await lock?.release();
  }

  #lost(lock: Lock): void {
    if (lock !== this.#lock) return;
    this.#lock = undefined;
    this.#draw();
    // With the room itself gone, which shows in a moment, the lock is no news.
    const room = this.#room;
    queueMicrotask(() => {
      if (room?.state.get().status !== 'joined') return;
      const reason: unknown = lock.signal.reason;
      notice(
        `You lost the lock: ${reason instanceof Error ? untwisted(messageOf(reason)) : 'the lease ended'}`,
        'problem',
      );
    });
  }

  #refuse({ userName, msg, expiresInMs }: Refusal): void {
    this.#refusedUntil = expiresInMs === null ? undefined : Date.now() + expiresInMs;
    setText(byId('refusal-who', HTMLElement), `Refused: ${isolated(userName)} holds it.`);
    setText(byId('refusal-message', HTMLElement), msg === null ? '' : `“${isolated(msg)}”`);
    setText(byId('refusal-left', HTMLElement), '');
    this.tick();
    this.#refusal.hidden = false;
  }

  #forgive(): void {
    this.#refusedUntil = undefined;
    this.#refusal.hidden = true;
    // An alert is read out when its text comes.
    for (const id of ['refusal-who', 'refusal-message', 'refusal-left']) setText(byId(id, HTMLElement), '');
  }

  #draw(): void {
    const mine = this.#lock !== undefined;
    const holder = this.#holder;
    const msg = holder === null || holder.msg === null ? '' : `: “${isolated(holder.msg)}”`;
    this.#state.dataset['held'] = mine ? 'me' : holder === null ? 'nobody' : 'other';
    setText(
      this.#state,
      mine ? `You hold it${msg}` : holder === null ? 'Nobody holds it.' : `${isolated(holder.userName)} holds it${msg}`,
    );
    this.#lease.hidden = !mine;
    this.#form.hidden = mine;
    this.tick();
  }
}
