/**
 * Rules 2 and 3: what those who hear topics were told, held against each other and against what publishers were told.
 * Leaves the log of each topic, as all of them together know it, for the other rules.
 */
import { errors } from '../../src/protocol/codes.js';
import { UNKNOWN, type At, type EntryOf, type Operation, type StreamEntry } from './history.js';
import type { Case } from './rules.js';

export interface Logged {
  readonly text: string;
  /** Undefined: only its ACK names it. */
  by: string | null | undefined;
  readonly place: number;
}

/** By topic and epoch: offset → event. */
export type Logs = ReadonlyMap<string, ReadonlyMap<string, ReadonlyMap<number, Logged>>>;

export function inOrder(log: ReadonlyMap<number, Logged>): [offset: number, event: Logged][] {
  return [...log].sort(([a], [b]) => a - b);
}

export function judgeDelivery(run: Case): Logs {
  const judge = new Judge(run);
  for (const [place, entry] of run.history.entries()) judge.read(entry, place);
  judge.end();
  return judge.logs;
}

/** Where one who hears a topic stands. */
interface Cursor {
  readonly who: string;
  readonly topic: string;
  at: At | undefined;
  /** The next event says where it begins. */
  afloat: boolean;
  open: boolean;
  readonly left: Set<string>;
  /** What it was told last. */
  place: number;
}

class Judge {
  readonly logs = new Map<string, Map<string, Map<number, Logged>>>();
  readonly #run: Case;
  readonly #cursors = new Map<string, Cursor>();
  readonly #heads = new Map<string, At>();
  /** By topic and text. */
  readonly #publishes = new Map<string, Operation>();
  /** By topic and text, where it is in the log. */
  readonly #places = new Map<string, At[]>();
  /** When each client got the connection that it has. */
  readonly #live = new Map<string, number>();
  /** Ends of servers, and how many of them forgot all. */
  readonly #ends: readonly number[];
  readonly #forgotten: number;

  constructor(run: Case) {
    this.#run = run;
    for (const operation of run.operations.values()) {
      if (operation.call === 'publish') this.#publishes.set(`${operation.of} ${operation.text}`, operation);
    }
    this.#ends = run.history.flatMap(({ kind }, place) => (kind === 'server' ? [place] : []));
    this.#forgotten = run.history.filter((entry) => entry.kind === 'server' && entry.forgets).length;
  }

  read(entry: Case['history'][number], place: number): void {
    switch (entry.kind) {
      case 'answer': {
        const { call, of, text } = this.#run.operations.get(entry.op) ?? {};
        if (call !== 'publish' || entry.at === undefined) return;
        this.#run.counts.acknowledged++;
        this.#put(of as string, entry.at, { text: text as string, by: undefined, place });
        return;
      }
      case 'head':
        this.#heads.set(entry.topic, entry.at);
        return;
      case 'live':
        this.#live.set(entry.who, place);
        return;
      case 'begin':
      case 'event':
      case 'reset':
      case 'end':
        this.#told(entry, place);
        return;
      default:
      // Of locks and rooms, which other rules judge.
    }
  }

  #told(entry: StreamEntry, place: number): void {
    const { who, topic, kind } = entry;
    const fresh = { who, topic, at: undefined, afloat: false, open: false, left: new Set<string>(), place };
    const cursor = valueOf<string, Cursor>(this.#cursors, `${who} ${topic}`, () => fresh);
    switch (kind) {
      case 'begin':
        cursor.open = true;
        cursor.afloat = entry.at === undefined;
        if (entry.at !== undefined) this.#move(cursor, entry.at, place);
        break;
      case 'reset':
        this.#run.counts.resets++;
        cursor.afloat = false;
        this.#move(cursor, entry.at, place);
        break;
      case 'end':
        cursor.open = false;
        if (entry.code === undefined) break;
        this.#run.counts.resets++;
        if (this.#forgotten === 0 || entry.code !== errors.room_not_found) {
          this.#run.find('surprise', `${who} was removed from ${topic}: ${entry.code}`, place);
        }
        break;
      case 'event':
        this.#event(cursor, entry, place);
    }
    cursor.place = place;
  }

  #event(cursor: Cursor, { who, topic, at, by, text }: EntryOf<'event'>, place: number): void {
    const run = this.#run;
    run.counts.deliveries++;
    if (!cursor.open) run.find('heard outside', `${who} was told ${text}, and is not in ${topic}`, cursor.place, place);
    const [epoch, offset] = at;
    if (cursor.afloat || cursor.at?.[0] !== epoch) {
      if (!cursor.afloat) run.find('epoch told', `${who}: ${topic} goes on in ${epoch}`, cursor.place, place);
      const before = cursor.at?.[0] === epoch ? Math.max(cursor.at[1], offset - 1) : offset - 1;
      this.#move(cursor, [epoch, before], place);
      cursor.afloat = false;
    }
    this.#put(topic, at, { text, by, place });
    const own = by === null ? undefined : this.#publishes.get(`${topic} ${text}`);
    // Asked again on another connection, it may come as one of the events that were missed.
    if (own?.who === who && own.answered > place && own.asked > (this.#live.get(who) ?? Infinity)) {
      run.find('ack first', `${who} was told ${text} before the ACK of it`, place, own.answered);
    }
    const last = (cursor.at as At)[1];
    if (offset <= last) {
      run.counts.doubled++;
      run.find('once per cursor', `${who}: ${topic} ${epoch}:${offset} comes after ${last}`, cursor.place, place);
      return;
    }
    if (offset > last + 1) {
      run.counts.lost += offset - last - 1;
      run.find('gap told', `${who}: lost ${topic} ${epoch}:${last + 1}–${offset - 1}`, cursor.place, place);
    }
    cursor.at = at;
  }

  /** To where a RESET or a beginning says. */
  #move(cursor: Cursor, at: At, place: number): void {
    const { who, topic } = cursor;
    const [epoch, offset] = cursor.at ?? at;
    if (at[0] === epoch && at[1] < offset) {
      this.#run.find('once per cursor', `${who}: ${topic} goes back from ${epoch}:${offset} to ${at[1]}`, place);
    }
    if (at[0] !== epoch) cursor.left.add(epoch);
    if (cursor.left.has(at[0])) this.#run.find('epoch over', `${who}: ${topic} is in ${at[0]} again`, place);
    cursor.at = at;
  }

  #put(topic: string, [epoch, offset]: At, event: Logged): void {
    const run = this.#run;
    const epochs = valueOf(this.logs, topic, () => new Map<string, Map<number, Logged>>());
    const log = valueOf(epochs, epoch, () => new Map<number, Logged>());
    const known = log.get(offset);
    if (known !== undefined) {
      if (known.text !== event.text || (known.by !== event.by && known.by !== undefined && event.by !== undefined)) {
        const text = `${topic} ${epoch}:${offset} is ${event.text} of ${event.by}, and ${known.text} of ${known.by}`;
        run.find('one order', text, known.place, event.place);
      }
      known.by ??= event.by;
      return;
    }
    log.set(offset, event);
    const { text, by, place } = event;
    const key = `${topic} ${text}`;
    const publish = this.#publishes.get(key);
    if (publish === undefined) {
      if (by !== null) run.find('asked for', `nobody published ${text} to ${topic}`, place);
      return;
    }
    const places = valueOf(this.#places, key, () => []);
    if (places.some(([other]) => other === epoch || this.#forgotten === 0)) {
      run.counts.doubled++;
      run.find('once in the log', `${topic}: ${text} is at ${places.join(' and ')} and at ${epoch}:${offset}`, place);
    }
    places.push([epoch, offset]);
  }

  end(): void {
    const run = this.#run;
    for (const { who, topic, open, at = ['', 0] as At, place } of this.#cursors.values()) {
      const head = this.#heads.get(topic);
      if (!open || head === undefined || (at[0] === head[0] && at[1] >= head[1])) continue;
      run.counts.lost += at[0] === head[0] ? head[1] - at[1] : head[1];
      run.find('head reached', `${who} ends at ${at.join(':')} of ${topic}, whose last is ${head.join(':')}`, place);
    }
    for (const [topic, epochs] of this.logs) {
      if (epochs.size > 1 + this.#forgotten) {
        const places = [...epochs.values()].map((log) => (log.values().next().value as Logged).place);
        run.find('epoch kept', `${topic} had the epochs ${[...epochs.keys()].join(', ')}`, ...places);
      }
      const head = this.#heads.get(topic);
      for (const [epoch, log] of epochs) this.#judgeLog(topic, log, head?.[0] === epoch ? head[1] : Infinity);
    }
    for (const { op, of, text, asked, answered, answer } of this.#publishes.values()) {
      const { code } = answer ?? {};
      // Repeated to a server that forgot the first time, it is refused for what happened.
      const severed = this.#ends.some((place) => place > asked && place < answered);
      if (code === undefined || UNKNOWN.has(code) || (severed && this.#forgotten > 0)) continue;
      const at = this.#places.get(`${of} ${text}`)?.[0];
      if (at === undefined) continue;
      run.find(
        'refused undone',
        `op ${op}, ${text}, was refused with ${code} and is at ${at.join(':')}`,
        asked,
        answered,
      );
    }
  }

  #judgeLog(topic: string, log: ReadonlyMap<number, Logged>, head: number): void {
    const latest = new Map<string, Operation>();
    for (const [offset, { text, by, place }] of inOrder(log)) {
      const publish = this.#publishes.get(`${topic} ${text}`);
      // What the server does by itself, as when a lease ends, may come later.
      if (publish === undefined) continue;
      if (offset > head) {
        if (by === undefined) this.#run.counts.lost++;
        const rule = by === undefined ? 'ack kept' : 'head last';
        this.#run.find(rule, `${topic}: ${text} at ${offset} is beyond the last event, ${head}`, place);
      }
      const before = latest.get(publish.who);
      if (before !== undefined && before.asked > publish.asked) {
        const text = `${topic}: op ${publish.op} of ${publish.who} at ${offset} comes after op ${before.op}`;
        this.#run.find('publisher order', text, publish.asked, before.asked, place);
      } else latest.set(publish.who, publish);
    }
  }
}

export function valueOf<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  let value = map.get(key);
  if (value === undefined) map.set(key, (value = make()));
  return value;
}
