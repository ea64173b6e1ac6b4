/**
 * The connection that outlives its sockets: token → socket → HELLO → WELCOME → frames, and after
 * each end what its close code asks for. The owner hears WELCOME first, then every other frame.
 */
import { closeName, closes } from '../protocol/codes.js';
import { type GoawayFrame, type Positions, type SessionTicket, type Value, type Welcome } from '../protocol/frames.js';
import * as Op from '../protocol/opcodes.js';

import { classOf, REFUSE, retryDelay, TOKEN } from './backoff.js';
import { HELD_MS, HELLO_BYTES, MAX_REFUSALS, MESSAGE_BYTES, POSITION_BYTES, WELCOME_MS } from './bounds.js';
import type { Alarm } from './clock.js';
import { encodeFrame } from './encode.js';
import { isError } from './error-kinds.js';
import { Observed } from './observable.js';
import { Pulse, type PulseHooks } from './pulse.js';
import type { Settings } from './settings.js';
import { askToken } from './token.js';
import type { ClientState } from './types.js';
import { Wire, type WireHooks } from './wire.js';

export interface ConnectionHooks {
  /** The positions to resume from, as many as `bytes` hold, the most wanted first. */
  toResume(bytes: number): Positions;
  /** `resumed`: what HELLO had of them. */
  welcome(welcome: Welcome, resumed: Positions): void;
  /** True: what was made to wait for this frame goes on before the next one is looked at. */
  onFrame(frame: Value[]): boolean;
  /** No answer can come any more. `final`: and there will be no reconnect. */
  down(final: boolean): void;
}

export class Connection implements PulseHooks, WireHooks {
  declare readonly state: Observed<ClientState>;
  /** The last token, for REST. */
  declare token: string | undefined;
  declare welcome: Welcome | undefined;
  readonly #settings: Settings;
  readonly #hooks: ConnectionHooks;
  #wire: Wire | undefined;
  /** From WELCOME on, until it ends. */
  live = false;
  /** The positions that HELLO had. */
  #resumed!: Positions;
  #ticket: SessionTicket | undefined;
  #goaway: GoawayFrame | undefined;
  #attempt = 0;
  #refusals = 0;
  /** Grows with each attempt, so that what an older one left behind is not heard. */
  #turn = 0;
  readonly #alarm: Alarm;
  /** What `state` will say when all are told. */
  #ending: ClientState['status'] | undefined;
  /** Own time when HELLO left. */
  #greeted = 0;
  /** Something came since the last POSITION. */
  #news = false;
  #liveSince = 0;
  declare readonly pulse: Pulse;

  constructor(settings: Settings, hooks: ConnectionHooks) {
    this.#settings = settings;
    this.#hooks = hooks;
    this.#alarm = settings.clock.alarm();
    this.state = new Observed<ClientState>({ status: 'connecting', attempt: 0 }, settings.report);
    this.pulse = new Pulse(settings, this);
  }

  write(bytes: Uint8Array): void {
    if (this.live) this.pulse.write(bytes);
  }

  /** Whatever the pulse has to say of it. */
  pass(bytes: Uint8Array): void {
    this.#wire?.write(bytes);
  }

  dead(): void {
    this.#ended(closes.ping_timeout, 'no answer');
  }

  /** As `state` says, or is about to: what is told of an end may ask for a new begin. */
  get status(): ClientState['status'] {
    return this.#ending ?? this.state.get().status;
  }

  /** Bytes that the socket has yet to send. */
  get buffered(): number {
    return this.#wire?.buffered ?? 0;
  }

  /** Now instead of after the backoff, or again after a refusal. */
  retry(): void {
    const { status } = this;
    if (status !== 'offline' && status !== 'refused') return;
    if (status === 'refused') this.#refusals = this.#attempt = 0;
    void this.connect();
  }

  close(): void {
    if (this.status === 'closed') return;
    // Also while a sleep is suspected.
    if (this.live) this.pass(encodeFrame([Op.BYE]));
    this.#drop(1000, 'closed');
    this.#down({ status: 'closed', reason: undefined });
  }

  /** Lets go of what there is and starts anew. */
  async connect(): Promise<void> {
    this.#drop(1000, '');
    const turn = this.#turn;
    this.state.merge({ status: 'connecting', retryAt: undefined });
    const { url, WebSocket } = this.#settings;
    try {
      const token = await askToken(this.#settings);
      if (turn !== this.#turn) return;
      this.token = token;
    } catch (error) {
      if (turn !== this.#turn) return;
      // That there is none to be had is no refusal: it may be no more than the network being away.
      if (isError(error, 'unauthenticated')) this.#ended(closes.unauthenticated, error.message, true);
      else if (isError(error, 'bad_request')) this.#refuseHello(error);
      else this.#ended(0, String(error));
      return;
    }
    try {
      this.#wire = new Wire(url, WebSocket, this);
    } catch (error) {
      this.#ended(1006, String(error), true);
      return;
    }
    this.#alarm(WELCOME_MS, () => this.#ended(1006, 'no answer'));
  }

  onOpen(): void {
    try {
      this.pass(this.#hello());
    } catch (error) {
      this.#refuseHello(error);
    }
  }

  onMessage(): void {
    this.pulse.heard();
  }

  onFrame(frame: Value[]): boolean {
    try {
      return this.#frame(frame);
    } catch (error) {
      this.#settings.report(error);
      throw error;
    }
  }

  onEnd(code: number, reason: string): void {
    this.#ended(this.#goaway && code < 4000 ? this.#goaway[1] : code, reason);
  }

  /** What the server would close with 4003: it will not get better by itself. */
  #refuseHello(error: unknown): void {
    this.#settings.report(error);
    this.#ended(closes.hello_expected, String(error));
  }

  #hello(): Uint8Array {
    const { instance, grace, agent } = this.#settings;
    this.#greeted = this.#now();
    const hello = (resume: Positions): Uint8Array =>
      encodeFrame([
        Op.HELLO,
        // Its id; those of other requests start above it.
        1,
        {
          token: this.token,
          session: this.#ticket,
          instance,
          grace,
          agent,
          resume,
          features: ['positions'],
        },
      ]);
    // What finds no room here is subscribed from its position after WELCOME. A map's header has up to 4 bytes more.
    this.#resumed = this.#toResume(hello({}).length + 4);
    return hello(this.#resumed);
  }

  #frame(frame: Value[]): boolean {
    switch (frame[0]) {
      case Op.WELCOME:
        this.#welcomed(frame[2] as unknown as Welcome);
        break;
      case Op.PING:
        this.write(encodeFrame([Op.PONG, frame[1]]));
        this.beat();
        break;
      case Op.PONG:
        this.pulse.pong(frame);
        break;
      case Op.GOAWAY:
        this.#goaway = frame as unknown as GoawayFrame;
        break;
      default:
        this.#news = true;
        return this.live && this.#hooks.onFrame(frame);
    }
    return false;
  }

  #welcomed(welcome: Welcome): void {
    this.welcome = welcome;
    this.#ticket = welcome.session;
    this.live = true;
    if (this.#wire) this.#wire.largest = Math.min(MESSAGE_BYTES, welcome.limits.messageBytes ?? Infinity);
    this.#liveSince = this.#now();
    this.#alarm();
    this.pulse.begin(welcome, this.#greeted);
    this.#hooks.welcome(welcome, this.#resumed);
    if (this.live)
      this.state.merge({ status: 'live', attempt: 0, reason: undefined, user: welcome.user, sid: welcome.session[0] });
  }

  /** Says what was handled, for whoever asks the server why an event did not arrive (RW-POS-6). */
  beat(): void {
    if (!this.#news || !this.welcome?.features.length) return;
    this.#news = false;
    this.write(encodeFrame([Op.POSITION, this.#toResume(POSITION_BYTES)]));
  }

  /** Beside so many other bytes of a HELLO. */
  #toResume(others: number): Positions {
    return this.#hooks.toResume((this.welcome?.limits.helloBytes ?? HELLO_BYTES) - others);
  }

  #ended(code: number, message: string, refused = classOf(code) === REFUSE): void {
    const { token } = this.#settings;
    if (this.live && this.#now() - this.#liveSince >= HELD_MS) this.#attempt = this.#refusals = 0;
    // By a HELLO of an earlier attempt, which came late: nobody else has the session (RW-SES-5).
    if (code === closes.taken_over && this.#attempt) refused = false;
    const retryAfterMs = this.#goaway?.[3] ?? 0;
    // A socket that is still open is closed without waiting for the other side, which may be gone.
    this.#drop(code < 4000 ? 1000 : code, message);
    const reason = { code, name: code === 0 ? 'token_unavailable' : (closeName(code) ?? 'connection_lost'), message };
    if (classOf(code) === TOKEN && (typeof token !== 'function' || ++this.#refusals >= MAX_REFUSALS)) refused = true;
    if (refused) return this.#down({ status: 'refused', reason });
    const attempt = ++this.#attempt;
    const delay = retryDelay(this.#settings, { code, attempt, retryAfterMs });
    this.#alarm(delay, () => void this.connect());
    this.#down({ status: 'offline', attempt, reason, retryAt: Date.now() + delay });
  }

  /** Tells that no answer can come; whoever hears of it may close or connect, which then counts. */
  #down(state: Partial<ClientState> & Pick<ClientState, 'status'>): void {
    const turn = this.#turn;
    this.#ending = state.status;
    this.#hooks.down(state.status !== 'offline');
    if (turn !== this.#turn) return;
    this.#ending = undefined;
    this.state.merge({ retryAt: undefined, ...state });
  }

  /** Lets go of the socket and of every timer. */
  #drop(code: number, reason: string): void {
    this.#turn++;
    this.#ending = undefined;
    this.#alarm();
    this.pulse.end();
    this.#wire?.close(code, reason);
    this.#wire = undefined;
    this.#goaway = undefined;
    this.live = false;
  }

  #now(): number {
    return this.#settings.clock.now();
  }
}
