/**
 * A checker of lock handles: what clients believed of the locks they held, held against the room's own log as someone
 * who missed nothing read it. A pure function over what handles.ts recorded; it knows no clock, socket or server.
 */
import type { Verdict } from './history.js';

/** A try to take a lock. All times count on one clock that everybody shares. */
export interface HandleRecord {
  readonly op: number;
  /** Room and target. */
  readonly lock: string;
  readonly asked: number;
  /** Undefined: never. */
  readonly answered?: number | undefined;
  /** Undefined: refused, or the answer was lost. */
  readonly token?: number | undefined;
  /** A turn of the timers after the answer: a lease that was over by then has said so. */
  readonly settled?: number | undefined;
  /** The client's belief ended: it gave the lock back, or `signal` aborted. */
  readonly over?: number | undefined;
  readonly lost?: boolean | undefined;
  /** Someone asked to end the lease by force: from here on the client may believe in what is no more. */
  readonly forced?: number | undefined;
}

/** A write that the lock guards, over HTTP. */
export interface WriteRecord {
  readonly op: number;
  readonly lock: string;
  readonly token: number | undefined;
  readonly asked: number;
  readonly answered?: number | undefined;
  readonly outcome?: 'taken' | 'lock_lost' | 'lock_held' | 'unknown' | undefined;
}

/** In the order of a room's log: a lock has a holder (whose message names the op), has none, or something was written. */
export type RoomEntry =
  | { readonly kind: 'held'; readonly lock: string; readonly op: number }
  | { readonly kind: 'free'; readonly lock: string }
  | { readonly kind: 'write'; readonly op: number };

export interface HandleHistory {
  readonly handles: readonly HandleRecord[];
  readonly writes: readonly WriteRecord[];
  /** By room. */
  readonly logs: Readonly<Record<string, readonly RoomEntry[]>>;
}

export interface HandleVerdict extends Verdict {
  readonly grants: number;
  readonly lost: number;
  readonly written: number;
  readonly refused: number;
}

const MAX_COMPLAINTS = 20;

export function checkHandles({ handles, writes, logs }: HandleHistory): HandleVerdict {
  const complaints: string[] = [];
  let complaintCount = 0;
  const complain = (text: string): void => {
    complaintCount++;
    if (complaints.length < MAX_COMPLAINTS) complaints.push(text);
  };
  const byOp = new Map(handles.map((handle) => [handle.op, handle]));
  const writeOf = new Map(writes.map((write) => [write.op, write]));
  const granted = new Set<number>();
  const written = new Set<number>();
  /** Handles whose client believed in them all through a write. */
  const during = ({ lock, asked, answered = Infinity }: WriteRecord): HandleRecord[] =>
    handles.filter(
      (handle) =>
        handle.lock === lock &&
        handle.token !== undefined &&
        (handle.answered ?? Infinity) <= asked &&
        believedUntil(handle) >= answered,
    );

  for (const [room, log] of Object.entries(logs)) {
    const holders = new Map<string, number>();
    let lastToken = 0;
    for (const entry of log) {
      switch (entry.kind) {
        case 'held': {
          const { lock, op } = entry;
          if (holders.get(lock) === op) break;
          const handle = byOp.get(op);
          if (handle?.lock !== lock) complain(`${room}: ${lock} is held by op ${op}, which never asked for it`);
          if (granted.has(op)) complain(`${room}: op ${op} holds ${lock} again, after its end`);
          granted.add(op);
          holders.set(lock, op);
          const { token } = handle ?? {};
          if (token === undefined) break;
          if (token <= lastToken) complain(`${room}: token ${token} of op ${op} comes after ${lastToken}`);
          lastToken = Math.max(lastToken, token);
          break;
        }
        case 'free':
          if (!holders.delete(entry.lock)) complain(`${room}: ${entry.lock} ends a second time`);
          break;
        case 'write': {
          const { op } = entry;
          const write = writeOf.get(op);
          if (write === undefined) {
            complain(`${room}: nobody asked for the write ${op}`);
            break;
          }
          if (written.has(op)) complain(`${room}: the write ${op} happened twice`);
          written.add(op);
          const { lock, token } = write;
          const holder = holders.get(lock);
          const current = holder === undefined ? undefined : byOp.get(holder)?.token;
          // Without a token it may have come just after the lease's end, before anybody was told.
          if (token === undefined ? during(write).length > 0 : token !== current) {
            complain(`${room}: write ${op} under ${token ?? 'no'} token, the lock's is ${current ?? 'not known'}`);
          }
          break;
        }
      }
    }
    for (const [lock, op] of holders) complain(`${room}: ${lock} is held by op ${op} for ever`);
  }

  for (const { op, lock, answered, token, over } of handles) {
    if (answered === undefined) complain(`op ${op} was never answered`);
    if (token === undefined) continue;
    if (!granted.has(op)) complain(`op ${op} was told token ${token}, of which the room knows nothing`);
    if (over === undefined) complain(`op ${op} believes in ${lock} for ever`);
  }
  checkOverlaps(handles, complain);
  checkTokens(handles, complain);
  for (const write of writes) {
    const { op, token, outcome } = write;
    if (outcome === undefined) complain(`write ${op} was never answered`);
    if (outcome === 'taken' && !written.has(op)) complain(`write ${op} was told a success that the room does not know`);
    if (outcome !== 'taken' && outcome !== 'unknown' && written.has(op)) {
      complain(`write ${op} took effect, told ${outcome}`);
    }
    if (outcome === 'lock_lost' && during(write).some((handle) => handle.token === token)) {
      complain(`write ${op} was refused under the current token ${token}`);
    }
  }
  return {
    complaints,
    complaintCount,
    grants: granted.size,
    lost: handles.filter(({ lost }) => lost).length,
    written: written.size,
    refused: writes.filter(({ outcome }) => outcome === 'lock_lost' || outcome === 'lock_held').length,
  };
}

function believedUntil({ over = Infinity, forced = Infinity }: HandleRecord): number {
  return Math.min(over, forced);
}

/** No two clients believe in one lock at once. */
function checkOverlaps(handles: readonly HandleRecord[], complain: (text: string) => void): void {
  const byLock = new Map<string, { op: number; from: number; to: number }[]>();
  for (const handle of handles) {
    const { op, lock, token, settled } = handle;
    const to = believedUntil(handle);
    if (token === undefined || settled === undefined || settled >= to) continue;
    byLock.set(lock, [...(byLock.get(lock) ?? []), { op, from: settled, to }]);
  }
  for (const [lock, held] of byLock) {
    held.sort((a, b) => a.from - b.from);
    let last: (typeof held)[number] | undefined;
    for (const one of held) {
      if (last !== undefined && one.from < last.to) complain(`two holders of ${lock}: ops ${last.op} and ${one.op}`);
      if (last === undefined || one.to > last.to) last = one;
    }
  }
}

/** A token is larger than every one that was told before it was asked for, whatever the lock. */
function checkTokens(handles: readonly HandleRecord[], complain: (text: string) => void): void {
  const told = handles.filter(({ token }) => token !== undefined);
  const byAnswer = [...told].sort((a, b) => (a.answered ?? Infinity) - (b.answered ?? Infinity));
  let [next, highest] = [0, 0];
  for (const { op, asked, token = 0 } of [...told].sort((a, b) => a.asked - b.asked)) {
    for (; (byAnswer[next]?.answered ?? Infinity) < asked; next++) {
      highest = Math.max(highest, byAnswer[next]?.token ?? 0);
    }
    if (token <= highest) complain(`token ${token} of op ${op} was asked for after ${highest} had been told`);
  }
}
