/** A history that is about to be spoilt, and what is said of one way to do it. */
import type { Random } from '../random.js';
import { operationsOf, type Entry, type EntryOf, type History, type Operation } from './history.js';
import type { Rule } from './rules.js';

export interface Corruption {
  readonly what: string;
  readonly rule: Rule;
  readonly spoil: (history: Spoilt) => void;
}

export function spoils(what: string, rule: Rule, spoil: Corruption['spoil']): Corruption {
  return { what, rule, spoil };
}

/** A copy of a history, to be spoilt. Places are those of the copy as it is. */
export class Spoilt {
  readonly entries: Entry[];
  readonly random: Random;

  constructor(history: History, random: Random) {
    this.entries = [...history];
    this.random = random;
  }

  get operations(): Map<number, Operation> {
    return operationsOf(this.entries);
  }

  at<K extends Entry['kind']>(place: number): EntryOf<K> {
    return this.entries[place] as EntryOf<K>;
  }

  places<K extends Entry['kind']>(kind: K, fits: (entry: EntryOf<K>, place: number) => unknown = () => true): number[] {
    return this.entries.flatMap((entry, place) =>
      entry.kind === kind && fits(entry as EntryOf<K>, place) ? [place] : [],
    );
  }

  /** One of them. */
  one<T>(among: readonly T[]): T {
    if (among.length === 0) throw new Error('this history has no place for it');
    return among[this.random.below(among.length)] as T;
  }

  pick<K extends Entry['kind']>(kind: K, fits?: (entry: EntryOf<K>, place: number) => unknown): number {
    return this.one(this.places(kind, fits));
  }

  change<K extends Entry['kind']>(place: number, fields: Partial<EntryOf<K>>): void {
    this.entries[place] = { ...this.entries[place], ...fields } as Entry;
  }

  insert(place: number, ...entries: readonly Entry[]): void {
    this.entries.splice(place, 0, ...entries);
  }

  append(...entries: readonly Entry[]): void {
    this.entries.push(...entries);
  }

  remove(...places: readonly number[]): void {
    for (const place of [...places].sort((a, b) => b - a)) this.entries.splice(place, 1);
  }

  swap(one: number, other: number): void {
    [this.entries[one], this.entries[other]] = [this.entries[other] as Entry, this.entries[one] as Entry];
  }

  /** The place of the next entry, or of the one before (`step` -1), for which `fits` holds. */
  next(place: number, fits: (entry: Entry) => boolean, step = 1): number | undefined {
    for (let at = place + step; at >= 0 && at < this.entries.length; at += step) {
      if (fits(this.entries[at] as Entry)) return at;
    }
    return undefined;
  }
}
