/** What the checker holds a history against, each promise by its name, and what it says of one that is broken. */
import type { Entry, History, Operation } from './history.js';

export const rules = {
  'one order': 'all are told the same event at an offset, the ACK included (RW-ORD-1, RW-EVT-3, RW-PUB-6)',
  'once in the log': 'a publish is appended once, however often it is repeated (RW-PUB-5)',
  'once per cursor': 'offsets only grow: nothing comes twice, late, or again after a RESET (RW-ORD-1, RW-EVT-5)',
  'gap told': 'offsets are consecutive but where a RESET says otherwise (RW-ORD-1, RW-RST-1)',
  'epoch told': 'a topic goes on in another epoch after a RESET or a new beginning alone (RW-EVT-1)',
  'epoch over': 'an epoch that was left never comes back (RW-POS-2)',
  'epoch kept': 'a store that keeps what it told keeps the epoch (RW-ORD-6)',
  'heard outside': 'nothing is told before the beginning or after the end (RW-ORD-4)',
  'head reached': 'everybody in a topic comes to its last event',
  'head last': 'nothing is published after all has been answered',
  'ack kept': 'what was acknowledged is in the log (RW-ORD-6)',
  'ack first': 'on the connection of a publish its ACK comes before its event (RW-ORD-3)',
  'publisher order': 'what one client publishes to a topic is appended in that order (RW-PUB-2)',
  'refused undone': 'what was refused is not in the log',
  answered: 'whatever was asked is answered',
  'answer true': 'what was answered is what the store did',
  'asked for': 'what happens was asked for, once',
  'cut unseen': 'nobody is shown to leave or join who only lost a connection',
  'rooms agree': "in the end each member's room is the server's",
  'one holder': 'a lock has one holder at a time',
  'tokens grow': 'a token is greater than all that were granted, or told, before',
  'lease lasts': 'a lease lasts until its time is over, and ends then',
  'in turn': 'those who wait get the lock in the order in which they came',
  'holder alone': 'a lock is renewed, released and written under by its holder, with the token that counts',
  'ends once': 'a grant ends once',
  'free granted': 'a free lock is refused to nobody, and nobody waits for it',
  'holder heard': 'the holder is not refused its own lock',
  'real time': 'what was answered before a question comes before its answer in the store too',
  'one believer': 'no two clients believe in one lock at once',
  'belief ends': 'a client that had a lock learns that it is over',
  surprise: 'nothing happens that no rule foresees',
} as const;
export type Rule = keyof typeof rules;

export interface Finding {
  readonly rule: Rule;
  readonly text: string;
  /** The entries that show it, with what the same one was told before and after: `#place kind …`. */
  readonly excerpt: readonly string[];
}

const counts = {
  deliveries: 0,
  acknowledged: 0,
  /** Events that somebody should have been told, or told to have missed. */
  lost: 0,
  doubled: 0,
  resets: 0,
  operations: 0,
  grants: 0,
  waits: 0,
  /** Guarded writes that were taken, and refused. */
  written: 0,
  refused: 0,
  /** Handles whose lease ended under them. */
  lostLocks: 0,
};
export type Counts = typeof counts;

/** A bad history has many findings, and the first say it. */
const MAX_FINDINGS = 20;

/** A history under judgement. */
export class Case {
  readonly history: History;
  readonly operations: ReadonlyMap<number, Operation>;
  readonly findings: Finding[] = [];
  /** How often each rule was broken. */
  readonly broken = new Map<Rule, number>();
  readonly counts = { ...counts };

  constructor(history: History, operations: ReadonlyMap<number, Operation>) {
    this.history = history;
    this.operations = operations;
  }

  /** `places`: the entries that show it. */
  find(rule: Rule, text: string, ...places: readonly (number | undefined)[]): void {
    this.broken.set(rule, (this.broken.get(rule) ?? 0) + 1);
    if (this.findings.length >= MAX_FINDINGS) return;
    const shown = new Set(places.flatMap((place) => (place === undefined ? [] : this.#around(place))));
    const excerpt = [...shown].sort((a, b) => a - b).map((place) => `#${place} ${shownEntry(this.history[place])}`);
    this.findings.push({ rule, text, excerpt });
  }

  /** The place itself, two before it and one after it that are about the same. */
  #around(place: number): number[] {
    const subject = this.#subject(this.history[place]);
    const near = (step: number, count: number): number[] => {
      const found: number[] = [];
      for (let at = place + step; found.length < count && this.history[at] !== undefined; at += step) {
        if (this.#subject(this.history[at]) === subject) found.push(at);
      }
      return found;
    };
    return this.history[place] === undefined ? [] : [...near(-1, 2), place, ...near(1, 1)];
  }

  #subject(entry: Entry | undefined): string {
    if (entry === undefined) return '';
    if ('lock' in entry) return entry.lock;
    if ('topic' in entry) return `${'who' in entry ? entry.who : ''} ${entry.topic}`;
    const { call, who, of, op } = ('op' in entry && this.operations.get(Number(entry.op))) || {};
    return call === 'publish' ? `${op} ${who} ${of}` : (of ?? entry.kind);
  }
}

function shownEntry(entry: Entry | undefined): string {
  const { kind, ...fields } = entry as Entry;
  const told = Object.entries(fields).map(
    ([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`,
  );
  return [kind, ...told].join(' ');
}

export function shownFinding({ rule, text, excerpt }: Finding): string {
  return [`${rule}: ${text}`, `  promised: ${rules[rule]}`, ...excerpt.map((line) => `  ${line}`)].join('\n');
}
