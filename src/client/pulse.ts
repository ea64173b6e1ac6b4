/**
 * Whether the server is there, and what time it is there: PINGs that are asked and answered, the end of
 * a connection that is silent, the store's clock, and what is believed for as long as the server is
 * known to believe it too. A sleep that is suspected holds back all writes until the server has told the time.
 */
import type { Value, Welcome } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';
import { DOUBT_MS, MIN_GRACE_MS, PINGS_UNTOLD, PROBE_MS, SLEEP_MS } from './bounds.js';
import type { Alarm } from './clock.js';
import { encodeFrame } from './encode.js';
import type { Settings } from './settings.js';

export interface PulseHooks {
  /** From WELCOME on, until it ends. */
  readonly live: boolean;
  pass(bytes: Uint8Array): void;
  /** Nothing was heard for too long. */
  dead(): void;
  /** Each time that a PING is due. */
  beat(): void;
}

/** Believed, or waited for, only while the session is sure to be there. */
export interface Belief {
  /** Ends it when its time is over. */
  expire?(): void;
  /** It is over. */
  lose?(why: string): void;
  /** It may be over. */
  giveUp?(why: string): void;
  /** The page is left, perhaps for good. */
  pageLeft(): void;
}

export class Pulse {
  readonly beliefs = new Set<Belief>();
  readonly #settings: Settings;
  readonly #hooks: PulseHooks;
  #pingEvery = 0;
  #grace = Infinity;
  /** Own time: the server had this session then, for it answered what was asked. */
  #sure = -Infinity;
  /** Store time minus own time. */
  #lead: number | undefined;
  #pinged = 0;
  #heard = 0;
  /** Heard from by then, or it is dead. */
  #deadline = 0;
  readonly #alarm: Alarm;
  readonly #doubtAlarm: Alarm;
  /** Ms that the machine may have slept, since `#doubtedAt`. */
  #doubt = 0;
  #doubtedAt = 0;
  #held: Uint8Array[] = [];

  constructor(settings: Settings, hooks: PulseHooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#alarm = settings.clock.alarm();
    this.#doubtAlarm = settings.clock.alarm();
  }

  /** The store's clock, by which leases are counted, as far as it is known. */
  storeNow(): number {
    return this.#now() + (this.#lead ?? 0);
  }

  /** Own time: the server ends no session before, nor what it holds. */
  get believedUntil(): number {
    return this.#sure + this.#grace;
  }

  /** What was asked at this time was answered, on the connection it was asked on. */
  answered(asked: number): void {
    this.#sure = Math.max(this.#sure, asked);
  }

  believe(belief: Belief): void {
    this.beliefs.add(belief);
    this.#schedule();
  }

  /** The page is left: gives up what is held and waited for. */
  pageLeft(): void {
    this.#each((belief) => belief.pageLeft());
  }

  /** `asked`: when HELLO left. */
  begin({ pingEvery, limits, resumed, time }: Welcome, asked: number): void {
    const { grace = limits['graceMs'] ?? Infinity } = this.#settings;
    this.#grace = Math.max(MIN_GRACE_MS, Math.min(grace, limits['graceMaxMs'] ?? Infinity));
    this.#pingEvery = pingEvery;
    this.#pinged = this.#now();
    // They were the session's that is gone.
    if (!resumed) this.#each((belief) => belief.lose?.('the session ended'));
    this.heard();
    this.#told(asked, time);
    // A sign that the new secret is here: a HELLO of an earlier try that comes late opens nothing any more.
    if (resumed) this.#hooks.pass(encodeFrame([Op.PING, null]));
    this.#schedule();
  }

  /** The connection is gone. */
  end(): void {
    this.#held = [];
    this.#alarm();
  }

  /** A message came. */
  heard(): void {
    // What was under way before a sleep says nothing of now.
    if (this.#doubts()) return;
    this.#heard = this.#now();
    this.#deadline = this.#heard + this.#pingEvery + this.#settings.pongMs;
  }

  pong([, stamp, time]: readonly Value[]): void {
    if (typeof stamp === 'number' && stamp <= this.#now()) this.#told(stamp, time);
  }

  /** Asks for a sign of life, which must come soon. */
  probe(): void {
    if (!this.#doubts()) this.#ask();
  }

  /** Sends it, as soon as no sleep is suspected. */
  write(bytes: Uint8Array): void {
    if (this.#doubts()) this.#held.push(bytes);
    else this.#hooks.pass(bytes);
  }

  #each(run: (belief: Belief) => void): void {
    [...this.beliefs].forEach(run);
  }

  #now(): number {
    return this.#settings.clock.now();
  }

  #ping(): void {
    this.#pinged = this.#now();
    this.#hooks.pass(encodeFrame([Op.PING, this.#pinged]));
  }

  #ask(): void {
    const deadline = this.#now() + PROBE_MS;
    if (!this.#hooks.live || this.#deadline <= deadline) return;
    this.#ping();
    this.#deadline = deadline;
    this.#schedule();
  }

  /** When to ask again: after silence, for the time now and then, and often enough to go on believing. */
  #due(): number {
    const every = this.#pingEvery;
    return this.beliefs.size > 0 && this.#grace < Infinity
      ? this.#pinged + Math.min(every, this.#grace / 3)
      : Math.min(Math.max(this.#heard, this.#pinged) + every, this.#pinged + PINGS_UNTOLD * every);
  }

  #schedule(): void {
    if (!this.#hooks.live) return;
    const next = this.#doubt > 0 ? this.#deadline : Math.min(this.#due(), this.#deadline);
    const tick = (): void => {
      const now = this.#now();
      if (now >= this.#deadline) return this.#hooks.dead();
      if (now >= this.#due() && !this.#doubts()) {
        this.#ping();
        this.#hooks.beat();
      }
      this.#schedule();
    };
    this.#alarm(Math.max(0, next - this.#now()), tick);
  }

  /** The server told the time, after what was asked then. */
  #told(asked: number, time: Value | undefined): void {
    this.answered(asked);
    const now = this.#now();
    const settles = this.#doubt > 0 && asked >= this.#doubtedAt;
    if (typeof time !== 'number') {
      if (settles) this.#settle(this.#doubt);
      return;
    }
    /** That went by without this clock, at most. */
    const missed = this.#lead === undefined ? 0 : time - this.#lead - asked;
    const unseen = settles || missed - (now - asked) > SLEEP_MS ? Math.max(0, missed) : 0;
    this.#lead = time + (now - asked) / 2 - now - unseen;
    if (settles || unseen > 0) this.#settle(unseen);
  }

  /** Whether a sleep is suspected. */
  #doubts(): boolean {
    if (this.#doubt > 0) return true;
    this.#doubt = this.#settings.clock.ahead();
    if (this.#doubt === 0) return false;
    this.#doubtedAt = this.#now();
    this.#deadline = Infinity;
    this.#ask();
    this.#doubtAlarm(DOUBT_MS, () => {
      this.#each((belief) => belief.giveUp?.('the machine slept'));
      this.#settle(this.#doubt);
    });
    return true;
  }

  /** It slept so long. Who held what is over then knows it before anything is sent. */
  #settle(slept: number): void {
    this.#settings.clock.slept(slept);
    this.#doubt = 0;
    this.#doubtAlarm();
    this.heard();
    this.#each((belief) => belief.expire?.());
    const held = this.#held;
    this.#held = [];
    for (const bytes of held) this.#hooks.pass(bytes);
  }
}
