/**
 * What happened in a run, as those it happened to tell it: one list, in the order in which the recording process
 * learnt of it. recorder.ts writes it, checker.ts judges it. Plain data: it can be kept as a line of JSON each.
 */

/** `[epoch, offset]`. */
export type At = readonly [epoch: string, offset: number];

/** `lock` is a handle of the SDK, whose holder believes in it until `over`; `acquire` is the bare call. */
export type Call = 'publish' | 'lock' | 'acquire' | 'refresh' | 'release' | 'msg' | 'force' | 'write';

export interface Ask {
  readonly kind: 'ask';
  readonly op: number;
  readonly who: string;
  readonly call: Call;
  /** The topic or the lock. */
  readonly of: string;
  /** What is published, as `textOf` has it: no two publishes to one topic have the same. */
  readonly text?: string | undefined;
  /** What the operation is done under. */
  readonly token?: number | undefined;
}

export interface Answer {
  readonly kind: 'answer';
  readonly op: number;
  readonly at?: At | undefined;
  readonly token?: number | undefined;
  /** Refused. */
  readonly code?: number | undefined;
}

/** Codes of answers that say nothing of what became of the operation: cancelled, deadline, disconnected. */
export const UNKNOWN: ReadonlySet<number> = new Set([113, 200, 204]);
export const DISCONNECTED = 204;

interface Told {
  readonly who: string;
  readonly topic: string;
}

/** What one who hears a topic is told of it, over all the clients and connections it has had. */
export type StreamEntry =
  /** It hears from here on; `at` undefined: from wherever the first event is. Of a room: it joins as somebody new. */
  | (Told & { readonly kind: 'begin'; at?: At | undefined })
  /** `by`: the sender's session; null: the server. */
  | (Told & { readonly kind: 'event'; readonly at: At; readonly by: string | null; readonly text: string })
  | (Told & { readonly kind: 'reset'; readonly at: At })
  /** It left, or was removed with this code. */
  | (Told & { readonly kind: 'end'; readonly code?: number | undefined });

interface Happened {
  readonly lock: string;
  /** Store time, ms. */
  readonly now?: number | undefined;
  /** The operation it belongs to, if any. */
  readonly op?: number | undefined;
}

/** What the store made of a lock, in its order. Who reads it from a room's log knows no times, owners and lines. */
export type LockEntry =
  | (Happened & {
      readonly kind: 'grant';
      readonly token?: number | undefined;
      readonly owner?: string | undefined;
      readonly expiresAt?: number | undefined;
      /** It came to one who waited in line. */
      readonly waited?: boolean | undefined;
    })
  /** `owner`: who asked. */
  | (Happened & {
      readonly kind: 'renew';
      readonly token: number;
      readonly owner: string;
      readonly expiresAt: number;
    })
  /** `time`: nobody asked for it. */
  | (Happened & {
      readonly kind: 'free';
      readonly token?: number | undefined;
      readonly why?: 'release' | 'force' | 'leave' | 'time' | undefined;
      readonly owner?: string | undefined;
    })
  | (Happened & { readonly kind: 'queue' })
  /** It waits no more: cancelled, out of time, disconnected, or refused just before this. */
  | (Happened & { readonly kind: 'gone' })
  /** A write that the lock guards was taken; `token` undefined: it came without one. */
  | (Happened & { readonly kind: 'write'; readonly token: number | undefined })
  | (Happened & {
      readonly kind: 'refuse';
      readonly code: number;
      readonly owner: string;
      readonly token?: number | undefined;
      /** After waiting in line. */
      readonly waited: boolean;
    });

export type Entry =
  | Ask
  | Answer
  | StreamEntry
  | LockEntry
  /** A turn of the timers after the answer: a lease that was over by then has said so. */
  | { readonly kind: 'sure'; readonly op: number }
  /** The client's belief in its lock ended: it gave it back, or `signal` aborted. */
  | { readonly kind: 'over'; readonly op: number; readonly lost: boolean }
  /** Its client has a connection, the first or another. */
  | { readonly kind: 'live'; readonly who: string }
  /** The server ends, and another begins; `forgets`: with an empty store. */
  | { readonly kind: 'server'; readonly forgets: boolean }
  /** In the end: the last publish of all. Whoever hears the topic must have come so far. */
  | { readonly kind: 'head'; readonly topic: string; readonly at: At }
  /** In the end: a room as a member has it; `who` null: as the server has it. */
  | {
      readonly kind: 'room';
      readonly who: string | null;
      readonly room: string;
      readonly state: Readonly<Record<string, unknown>>;
    }
  /** What no rule expects: a client that was refused for good, an error that a handler threw. */
  | { readonly kind: 'problem'; readonly text: string };

export type History = readonly Entry[];
export type EntryOf<K extends Entry['kind']> = Extract<Entry, { readonly kind: K }>;

export const textOf = (event: string, data: unknown): string => `${event} ${JSON.stringify(data)}`;

/** From the text of an event. */
export function eventOf(text: string): { readonly event: string; readonly data: unknown } {
  const space = text.indexOf(' ');
  return { event: text.slice(0, space), data: JSON.parse(text.slice(space + 1)) as unknown };
}

export const roomOf = (topic: string): string => topic.slice('room:'.length);
export const lockName = (roomId: string, target: string): string => `${roomId}/${target}`;

/** An operation from its question to its end. Times are places in the history; Infinity: never. */
export class Operation {
  readonly op: number;
  readonly who: string;
  readonly call: Call;
  readonly of: string;
  readonly text: string | undefined;
  readonly token: number | undefined;
  readonly asked: number;
  answered = Infinity;
  answer: Answer | undefined;
  sure = Infinity;
  over = Infinity;
  lost = false;

  constructor({ op, who, call, of, text, token }: Ask, asked: number) {
    this.op = op;
    this.who = who;
    this.call = call;
    this.of = of;
    this.text = text;
    this.token = token;
    this.asked = asked;
  }
}

export function operationsOf(history: History): Map<number, Operation> {
  const operations = new Map<number, Operation>();
  history.forEach((entry, place) => {
    if (entry.kind === 'ask') operations.set(entry.op, new Operation(entry, place));
    if (entry.kind !== 'answer' && entry.kind !== 'sure' && entry.kind !== 'over') return;
    const operation = operations.get(entry.op);
    if (operation === undefined) return;
    if (entry.kind === 'answer') {
      operation.answered = place;
      operation.answer = entry;
    } else if (entry.kind === 'sure') operation.sure = place;
    else {
      operation.over = place;
      operation.lost = entry.lost;
    }
  });
  return operations;
}
