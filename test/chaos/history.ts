/**
 * What happened in a run, as those it happened to tell it: one list, in the order in which the recording process
 * learnt of it. recorder.ts writes it, checker.ts judges it. Plain data: it can be kept as a line of JSON each.
 */

import { errors } from '../../src/protocol/codes.js';

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

/** Codes of answers that say nothing of what became of the operation. */
export const UNKNOWN: ReadonlySet<number> = new Set([errors.cancelled, errors.deadline, errors.disconnected]);

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

/**
 * What the store made of a lock, in its order. Who reads it from a room's log knows no times, owners and lines.
 * - grant: `waited`: to one who stood in line; renew: by `owner`; free: it ends, by `time` if nobody asked for it;
 * - queue: one waits in line; gone: it waits no more: cancelled, out of time, disconnected, or refused just before this;
 * - write: one that the lock guards was taken, under `token` or without; refuse: `owner` was, `waited`: after waiting.
 */
export interface LockEntry {
  readonly kind: 'grant' | 'renew' | 'free' | 'queue' | 'gone' | 'write' | 'refuse';
  readonly lock: string;
  /** Store time, ms. */
  readonly now?: number | undefined;
  /** The operation it belongs to, if any. */
  readonly op?: number | undefined;
  readonly token?: number | undefined;
  readonly owner?: string | undefined;
  readonly expiresAt?: number | undefined;
  readonly waited?: boolean | undefined;
  readonly why?: 'release' | 'force' | 'leave' | 'time' | undefined;
  readonly code?: number | undefined;
}

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
export type EntryOf<K extends Entry['kind']> = K extends LockEntry['kind']
  ? LockEntry
  : Extract<Entry, { readonly kind: K }>;

export const textOf = (event: string, data: unknown): string => `${event} ${JSON.stringify(data)}`;

/** From the text of an event. */
export function eventOf(text: string): { readonly event: string; readonly data: unknown } {
  const space = text.indexOf(' ');
  return { event: text.slice(0, space), data: JSON.parse(text.slice(space + 1)) as unknown };
}

export const roomOf = (topic: string): string => topic.slice('room:'.length);
export const lockName = (roomId: string, target: string): string => `${roomId}/${target}`;

/** An operation from its question to its end. Times are places in the history; Infinity: never. */
export interface Operation extends Omit<Ask, 'kind'> {
  readonly asked: number;
  answered: number;
  answer: Answer | undefined;
  sure: number;
  over: number;
  lost: boolean;
}

export function operationsOf(history: History): Map<number, Operation> {
  const operations = new Map<number, Operation>();
  const [answered, sure, over] = [Infinity, Infinity, Infinity];
  history.forEach((entry, place) => {
    if (entry.kind === 'ask') {
      // Field by field: all have one shape, which is what makes the checker fast.
      const { op, who, call, of, text, token } = entry;
      const ends = { answered, answer: undefined, sure, over, lost: false };
      operations.set(op, { op, who, call, of, text, token, asked: place, ...ends });
    }
    if (entry.kind !== 'answer' && entry.kind !== 'sure' && entry.kind !== 'over') return;
    const operation = operations.get(entry.op);
    if (operation === undefined) return;
    if (entry.kind === 'answer') Object.assign(operation, { answered: place, answer: entry });
    else if (entry.kind === 'sure') operation.sure = place;
    else Object.assign(operation, { over: place, lost: entry.lost });
  });
  return operations;
}
