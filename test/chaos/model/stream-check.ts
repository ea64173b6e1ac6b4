/** Judges what an application was told of one topic in one step: which events, in which order, and where a gap is told. */
import type { Turn, Want } from './client-model.js';
import type { Seen } from './real-client.js';

export interface Told {
  /** In order. */
  readonly seen: readonly Seen[];
  /** Undefined: the application does not want the topic. */
  readonly want: Want | undefined;
  readonly turns: readonly Turn[];
  readonly live: boolean;
  /** The log as it is now, and where it stood when the step began. */
  readonly log: readonly string[];
  readonly epoch: string | undefined;
  readonly before: number;
  /** Whether events may be gone for who stands so far behind the end. */
  readonly mayHaveMissed: (behind: number) => boolean;
}

/** Returns what is wrong; undefined when all is as it must be. */
export function misheard(told: Told): string | undefined {
  const { turns, want, live, seen, log } = told;
  const going = live && want?.ready === true;
  if (turns.length === 0 && !going) return seen.length === 0 ? undefined : 'was told something it is not to hear';
  const wrongText = seen.find((one) => one.kind === 'event' && !isOf(log, one));
  // Of several turns in one step the end alone is certain.
  if (turns.length > 1) return going ? (wrongEnd(told) ?? textOf(wrongText)) : undefined;
  if (wrongText !== undefined) return textOf(wrongText);
  switch (turns[0]) {
    case undefined:
      return run(seen, (want as Want).at[1], log.length);
    case 'begun': {
      const [first] = seen;
      if (first === undefined) return undefined;
      if (first.kind !== 'event' || first.offset <= told.before) return 'began before it joined';
      return run(seen, first.offset - 1, log.length);
    }
    case 'resumed':
      return resumed(told);
    case 'rejoined':
      return fromReset(told);
    case 'ended': {
      const offsets = seen.flatMap((one) => (one.kind === 'event' ? [one.offset] : []));
      if (offsets.length !== seen.length) return 'was told more than events before its end';
      return run(seen, (offsets[0] ?? 1) - 1, (offsets[0] ?? 1) - 1 + offsets.length);
    }
    // removed
    default:
      return seen.length === 1 && seen[0]?.kind === 'removed' ? undefined : 'was not told that it was removed';
  }
}

function resumed(told: Told): string | undefined {
  const { seen, log, epoch, mayHaveMissed } = told;
  const [wasEpoch, at] = (told.want as Want).at;
  // The epoch of a log without events may change (RW-POS-5).
  const isSame = wasEpoch === epoch || wasEpoch === undefined;
  const mayReset = !isSame || at === 0 || mayHaveMissed(log.length - at);
  if (seen[0]?.kind === 'reset') return mayReset ? fromReset(told) : 'was told RESET though everything is kept';
  if (!isSame && at > 0) return 'was not told that the log is another';
  return run(seen, at, log.length);
}

/** One RESET, and all that comes after it. */
function fromReset({ seen, log, epoch }: Told): string | undefined {
  const [first, ...rest] = seen;
  if (first?.kind !== 'reset') return 'was not told RESET';
  const [at, offset] = first.at;
  if (epoch !== undefined && at !== epoch) return `was told RESET of another epoch: ${at} instead of ${epoch}`;
  return run(rest, offset, log.length);
}

/** Every event after `from` up to `to`, each once and in order. */
function run(seen: readonly Seen[], from: number, to: number): string | undefined {
  let next = from + 1;
  for (const one of seen) {
    if (one.kind !== 'event') return `was told ${one.kind} between events`;
    if (one.offset !== next) return `was told ${one.offset} instead of ${next}`;
    next++;
  }
  return next === to + 1 ? undefined : `was told up to ${next - 1} of ${to}`;
}

/** What came last must be the newest. */
function wrongEnd({ seen, log, turns }: Told): string | undefined {
  const last = seen.at(-1);
  // Who began anew may have done so after the newest.
  if (last === undefined || turns.at(-1) === 'begun') return undefined;
  const at = last.kind === 'event' ? last.offset : last.kind === 'reset' ? last.at[1] : log.length;
  return at === log.length ? undefined : `stands at ${at} of ${log.length}`;
}

function isOf(log: readonly string[], { offset, text }: Extract<Seen, { readonly kind: 'event' }>): boolean {
  return log[offset - 1] === text;
}

function textOf(one: Seen | undefined): string | undefined {
  return one === undefined ? undefined : `was told what is not in the log: ${JSON.stringify(one)}`;
}
