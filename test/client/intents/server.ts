/**
 * A whole server in memory, for random tests of what the SDK asks for: it delays, drops and refuses as it is
 * told, and keeps what a real one keeps (a session with its topics, logs, rooms, lists). Nothing happens by itself:
 * `work` handles one request, `deliver` brings one frame to the client, `cut` loses all that is under way.
 */
import { decodeAll, encode } from '../../../src/protocol/codec.js';
import { errors } from '../../../src/protocol/codes.js';
import { Op, type Hello, type Position, type Value } from '../../../src/protocol/frames.js';
import { metadata } from '../room-replies.js';
import { welcome } from '../fake-server.js';

const EPOCH = 'e';

interface Subscription {
  /** The next offset that it is sent. */
  next: number;
  readonly byCall: boolean;
}

/** What browsers call a WebSocket, with its other end. */
class Line {
  binaryType = '';
  bufferedAmount = 0;
  onopen: (() => void) | null = null;
  onmessage: ((message: { data: ArrayBuffer }) => void) | null = null;
  onclose: ((close: { code: number; reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;
  readonly requests: Value[][] = [];
  readonly frames: (readonly unknown[])[] = [];
  open = true;
  /** HELLO came. */
  welcomed = false;
  /** Topics that the first SUBSCRIBE may take back. */
  unrecovered = new Set<string>();

  send(bytes: Uint8Array): void {
    if (this.open) this.requests.push(...decodeAll(bytes));
  }

  close(): void {
    this.open = false;
  }
}

interface Get {
  readonly group: string;
  answer(response: unknown): void;
  fail(error: Error): void;
}

export class MemoryServer {
  readonly WebSocket: new (url: string, protocols: string[]) => object;
  line: Line | undefined;
  #sessions = 0;
  #sid = '';
  #subscriptions = new Map<string, Subscription>();
  readonly #logs = new Map<string, unknown[]>();
  /** Rooms that exist. */
  readonly rooms = new Set(['red', 'blue']);
  readonly #gets: Get[] = [];
  /** The codes that the next requests are refused with. */
  readonly refusals: number[] = [];

  constructor() {
    const opened = (line: Line): void => {
      this.line = line;
      queueMicrotask(() => line.open && line.onopen?.());
    };
    this.WebSocket = class extends Line {
      constructor() {
        super();
        opened(this);
      }
    };
  }

  readonly fetch = ((url: string, { signal }: { signal: AbortSignal }) =>
    new Promise((answer, fail) => {
      const group = new URL(url).searchParams.get('group') ?? 'public';
      this.#gets.push({ group, answer, fail });
      signal.addEventListener('abort', () => fail(signal.reason as Error));
    })) as unknown as typeof fetch;

  /** The topics that the session is in. */
  get topics(): readonly string[] {
    return [...this.#subscriptions.keys()].sort();
  }

  get busy(): boolean {
    const { line } = this;
    return this.#gets.length > 0 || (line?.open === true && line.requests.length + line.frames.length > 0);
  }

  publish(topic: string, event: string, data: unknown): void {
    this.#log(topic).push([event, data, null]);
    this.#feed();
  }

  head(topic: string): number {
    return this.#log(topic).length;
  }

  /** The network loses what is under way. */
  cut(): void {
    const { line } = this;
    if (!line?.open) return;
    line.open = false;
    this.line = undefined;
    line.onclose?.({ code: 1006, reason: '' });
  }

  /** The session's grace is over. */
  expire(): void {
    if (this.line?.open === true) return;
    this.#sid = '';
    this.#subscriptions = new Map();
  }

  /** The server puts the session out of a topic. */
  kick(topic: string): void {
    this.#remove(topic, errors.forbidden, 'kicked');
  }

  /** Handles the oldest request, or the oldest fetch. */
  work(): void {
    const request = this.line?.requests.shift();
    if (request) this.#handle(request);
    else this.#answerGet();
  }

  deliver(): void {
    const { line } = this;
    const frame = line?.frames.shift();
    if (frame && line?.open) line.onmessage?.({ data: Uint8Array.from(encode(frame)).buffer });
  }

  #answerGet(): void {
    const get = this.#gets.shift();
    if (!get) return;
    if (this.refusals.shift() !== undefined) return get.fail(new TypeError('fetch failed'));
    const topic = `overview:${get.group}`;
    const rooms = [metadata(`of-${get.group}`, 1 + this.head(topic))];
    const page = { rooms, next: null, positions: { [topic]: [EPOCH, this.head(topic)] } };
    get.answer({ ok: true, status: 200, json: () => Promise.resolve(page) });
  }

  #log(topic: string): unknown[] {
    let log = this.#logs.get(topic);
    if (!log) this.#logs.set(topic, (log = []));
    return log;
  }

  #say(...frame: readonly unknown[]): void {
    this.line?.frames.push(frame);
  }

  #feed(): void {
    if (!this.line?.welcomed) return;
    for (const [topic, subscription] of this.#subscriptions) {
      const items = this.#log(topic).slice(subscription.next - 1);
      if (items.length > 0) this.#say(Op.EVENTS, topic, subscription.next, ...items);
      subscription.next += items.length;
    }
  }

  #remove(topic: string, code: number, reason: string): boolean {
    if (!this.#subscriptions.delete(topic)) return false;
    if (this.line?.welcomed) this.#say(Op.REMOVED, topic, code, reason);
    return true;
  }

  #handle([op, id, ...parts]: Value[]): void {
    if (op === Op.HELLO) return this.#hello(id as number, parts[0] as unknown as Hello);
    if (op === Op.PING || op === Op.CANCEL || op === Op.BYE) return;
    const refusal = this.refusals.shift();
    if (refusal !== undefined) return this.#say(Op.NACK, id, refusal, 'refused');
    const refuse = (name: keyof typeof errors): void => this.#say(Op.NACK, id, errors[name], name);
    if (op === Op.CALL)
      this.#call(id as number, parts[0] as string, parts[1] as Record<string, string | boolean | undefined>, refuse);
    else if (op === Op.SUBSCRIBE) this.#subscribe(id as number, parts[0] as string, parts[1] as Position | null);
    else if (op === Op.UNSUBSCRIBE) {
      if (this.#subscriptions.get(parts[0] as string)?.byCall) refuse('join_required');
      else if (this.#remove(parts[0] as string, 0, 'left')) this.#say(Op.ACK, id, null);
      else refuse('not_subscribed');
    }
    this.#feed();
  }

  #hello(id: number, { session, resume = {} }: Hello): void {
    const line = this.line as Line;
    const resumed = this.#sid !== '' && session?.[0] === this.#sid;
    if (!resumed) {
      this.#sid = `s${++this.#sessions}`;
      this.#subscriptions = new Map();
    }
    const topics: Record<string, unknown> = {};
    for (const topic of new Set([...Object.keys(resume), ...this.#subscriptions.keys()])) {
      const byCall = /^(room|overview):/.test(topic);
      if (byCall && !this.#subscriptions.has(topic)) {
        topics[topic] = { epoch: '', offset: 0, recovered: false, code: errors.join_required };
        continue;
      }
      const offset = resume[topic]?.[1] ?? this.head(topic);
      this.#subscriptions.set(topic, { next: offset + 1, byCall });
      topics[topic] = { epoch: EPOCH, offset, recovered: topic in resume };
      if (!(topic in resume)) line.unrecovered.add(topic);
    }
    line.welcomed = true;
    // So little fits into HELLO that topics are left out of it.
    const limits = { messageBytes: 100_000, helloBytes: 150, pendingCalls: 4, pendingFrames: 8 };
    this.#say(Op.WELCOME, id, welcome({ session: [this.#sid, 'x'], resumed, topics: topics as never, limits }));
    this.#feed();
  }

  #subscribe(id: number, topic: string, from: Position | null): void {
    const { unrecovered } = this.line as Line;
    const existing = this.#subscriptions.get(topic);
    if (existing && from && unrecovered.delete(topic)) existing.next = from[1] + 1;
    else if (existing) {
      return this.#say(Op.ACK, id, { epoch: EPOCH, offset: existing.next - 1, recovered: true });
    }
    const offset = from ? from[1] : this.head(topic);
    if (!existing) this.#subscriptions.set(topic, { next: offset + 1, byCall: false });
    this.#say(Op.ACK, id, { epoch: EPOCH, offset, recovered: true });
  }

  #call(
    id: number,
    name: string,
    input: Record<string, string | boolean | undefined>,
    refuse: (name: keyof typeof errors) => void,
  ): void {
    const [verb, kind] = name.split(':') as [string, string];
    const topic =
      kind === 'room' ? `room:${String(input['roomId'])}` : `overview:${String(input['group'] ?? 'public')}`;
    if (verb === 'leave') {
      if (!this.#remove(topic, 0, 'left')) return refuse(kind === 'room' ? 'not_member' : 'not_subscribed');
      return this.#say(Op.ACK, id, { status: 'left', room: topic });
    }
    const room = String(input['roomId']);
    if (kind === 'room' && input['create'] === true) this.rooms.add(room);
    if (kind === 'room' && !this.rooms.has(room)) return refuse('room_not_found');
    const offset = this.head(topic);
    if (!this.#subscriptions.has(topic)) {
      this.#subscriptions.set(topic, { next: offset + 1, byCall: true });
      this.#say(Op.SUBSCRIBED, topic, EPOCH, offset, true);
    }
    const state = {
      metadata: metadata(room, 1),
      members: [],
      memberCount: 0,
      complete: true,
      holders: { locks: [], presenter: null, host: null },
    };
    this.#say(Op.ACK, id, { status: 'joined', ...state, positions: { [topic]: [EPOCH, offset] } });
  }
}
