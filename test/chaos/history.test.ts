/** The checkers are tested: each kind of bad history is rejected for its reason, and good ones are accepted. */
import fc from 'fast-check';
import t from 'tap';
import {
  checkDelivery,
  checkLocks,
  type At,
  type DeliveryHistory,
  type LockEntry,
  type LockOperation,
  type SeenEvent,
  type SubscriberRecord,
  type Write,
} from './history.js';

// ---- delivery -------------------------------------------------------------------------------------------------

const TOPIC = 'chat:1';

interface Good extends Omit<DeliveryHistory, 'subscribers'> {
  readonly subscribers: readonly (Omit<SubscriberRecord, 'seen'> & { readonly seen: SeenEvent[] })[];
}

/** Two writers take turns, two subscribers see everything. */
function good(count = 6): Good {
  const writes: Write[] = [];
  const log: SeenEvent[] = [];
  for (let i = 0; i < count; i++) {
    const [writer, seq, at]: [string, number, At] = [`w${i % 2}`, i >> 1, ['e1', i + 1]];
    writes.push({ topic: TOPIC, writer, seq, ack: at });
    log.push({ at, writer, seq });
  }
  const subscribers = ['a', 'b'].map((name) => ({ name, topic: TOPIC, from: ['e1', 0] as At, seen: [...log] }));
  return { writes, subscribers, heads: { [TOPIC]: ['e1', count] }, forgets: false };
}

/** Subscriber b's record after `change`. */
function spoilt(change: (seen: (SeenEvent | { reset: At })[]) => void): DeliveryHistory {
  const history = good();
  const [a, b] = history.subscribers;
  const seen: (SeenEvent | { reset: At })[] = [...(b?.seen ?? [])];
  change(seen);
  return { ...history, subscribers: [a as SubscriberRecord, { ...(b as SubscriberRecord), seen }] };
}

t.test('a history in which everyone saw everything once and in one order is accepted', async (t) => {
  t.match(checkDelivery(good()), {
    complaints: [],
    complaintCount: 0,
    deliveries: 12,
    acknowledged: 6,
    lost: 0,
    doubled: 0,
  });
});

t.test('a lost event is rejected, in the middle and at the end', async (t) => {
  t.match(checkDelivery(spoilt((seen) => seen.splice(2, 1))), { lost: 1, complaints: [/lost: chat:1 e1:3–3/] });
  t.match(checkDelivery(spoilt((seen) => seen.splice(4))), { lost: 2, complaints: [/lost: ends at e1:4/] });
  t.match(checkDelivery(spoilt((seen) => seen.splice(0))), { lost: 6 });
});

t.test('an event that one subscriber saw twice is rejected', async (t) => {
  const verdict = checkDelivery(spoilt((seen) => seen.splice(3, 0, seen[2] as SeenEvent)));
  t.match(verdict, { doubled: 1, complaints: [/doubled: w0#1/] });
});

t.test('an event that was appended twice is rejected', async (t) => {
  const history = good();
  const twice: SeenEvent = { at: ['e1', 7], writer: 'w0', seq: 2 };
  for (const { seen } of history.subscribers) seen.push(twice);
  t.match(checkDelivery({ ...history, heads: { [TOPIC]: ['e1', 7] } }), { doubled: 1, complaints: [/doubled: w0#2/] });
});

t.test('a publish beyond the last event is rejected; what the server does by itself may come later', async (t) => {
  const beyond = (byServer: boolean): DeliveryHistory => {
    const later: SeenEvent = { at: ['e1', 7], writer: 'w0', seq: 3, byServer };
    const history = spoilt((seen) => seen.push(later));
    return { ...history, writes: [...history.writes, { topic: TOPIC, writer: 'w0', seq: 3 }] };
  };
  t.match(checkDelivery(beyond(false)), { complaintCount: 1, complaints: [/w0#3 is beyond the last event/] });
  t.match(checkDelivery(beyond(true)), { complaintCount: 0 });
});

t.test('events in another order are rejected', async (t) => {
  const verdict = checkDelivery(
    spoilt((seen) => {
      [seen[2], seen[3]] = [seen[3] as SeenEvent, seen[2] as SeenEvent];
    }),
  );
  t.ok(verdict.complaints.some((text) => text.includes('reordered')));
});

t.test('two subscribers with two orders are rejected', async (t) => {
  const verdict = checkDelivery(
    spoilt((seen) => {
      const [third, fourth] = [seen[2] as SeenEvent, seen[3] as SeenEvent];
      seen[2] = { ...fourth, at: third.at };
      seen[3] = { ...third, at: fourth.at };
    }),
  );
  t.ok(verdict.complaints.some((text) => text.startsWith('two orders')));
});

t.test('a writer whose events are out of its order is rejected, though all see them so', async (t) => {
  const history = good();
  const swapped = (seq: number): number => (seq === 1 ? 2 : seq === 2 ? 1 : seq);
  const swap = <T extends { writer: string; seq: number }>(it: T): T =>
    it.writer === 'w0' ? { ...it, seq: swapped(it.seq) } : it;
  const verdict = checkDelivery({
    ...history,
    writes: history.writes.map(swap),
    subscribers: history.subscribers.map((one) => ({ ...one, seen: one.seen.map(swap) })),
  });
  t.match(verdict, { complaintCount: 1, complaints: [/w0#1 at e1:5 comes after w0#2/] });
});

t.test('a gap is accepted where a RESET told it, and only up to where it says', async (t) => {
  t.match(checkDelivery(spoilt((seen) => seen.splice(1, 2, { reset: ['e1', 3] }))), {
    complaintCount: 0,
    resets: 1,
    lost: 0,
  });
  t.match(checkDelivery(spoilt((seen) => seen.splice(1, 2, { reset: ['e1', 2] }))), { lost: 1 });
  t.match(checkDelivery(spoilt((seen) => seen.splice(3, 0, { reset: ['e1', 1] }))), { complaints: [/goes back/] });
});

t.test('a new epoch is accepted after a RESET, rejected without one, and an old one never comes back', async (t) => {
  const fresh: SeenEvent = { at: ['e2', 1], writer: 'w2', seq: 0 };
  const writes: Write[] = [{ topic: TOPIC, writer: 'w2', seq: 0, ack: ['e2', 1] }];
  const run = (...more: SubscriberRecord['seen']) => {
    const history = good();
    return checkDelivery({
      writes: [...history.writes, ...writes],
      subscribers: history.subscribers.map((one) => ({ ...one, seen: [...one.seen, ...more] })),
      heads: { [TOPIC]: ['e2', 1] },
      forgets: true,
    });
  };
  t.match(run({ reset: ['e2', 0] }, fresh), { complaintCount: 0 });
  t.match(run(fresh), { complaints: [/without a RESET/] });
  t.match(run({ reset: ['e2', 0] }, { reset: ['e1', 6] }, { reset: ['e2', 0] }, fresh), { complaints: [/again/] });
  t.match(run(), { complaints: [/ends in epoch e1/] });
});

t.test('an acknowledgement that names another offset, and an event that nobody wrote, are rejected', async (t) => {
  const history = good();
  const [first, ...rest] = history.writes as [Write, ...Write[]];
  t.match(checkDelivery({ ...history, writes: [{ ...first, ack: ['e1', 2] }, ...rest] }), {
    complaints: [/two orders/],
  });
  t.match(checkDelivery({ ...history, writes: rest }), { complaints: [/nobody wrote w0#0/] });
});

t.test('a write without an answer may be seen once or not at all, but not twice', async (t) => {
  const history = good();
  const unanswered: Write[] = [
    ...history.writes.slice(0, 5),
    { topic: TOPIC, writer: 'w1', seq: 2 },
    { topic: TOPIC, writer: 'w1', seq: 3 },
  ];
  t.match(checkDelivery({ ...history, writes: unanswered }), { complaintCount: 0, acknowledged: 5 });
});

t.test(
  'a second life of a store that forgets may hold the repetition of a write, one that keeps may not',
  async (t) => {
    const again: SubscriberRecord['seen'] = [{ reset: ['e2', 0] }, { at: ['e2', 1], writer: 'w1', seq: 2 }];
    const history = good();
    const run = (forgets: boolean) =>
      checkDelivery({
        ...history,
        writes: history.writes.map((write) =>
          write.writer === 'w1' && write.seq === 2 ? { ...write, ack: ['e2', 1] } : write,
        ),
        subscribers: history.subscribers.map((one) => ({ ...one, seen: [...one.seen, ...again] })),
        heads: { [TOPIC]: ['e2', 1] },
        forgets,
      });
    t.match(run(true), { complaintCount: 0 });
    t.match(run(false), { doubled: 1 });
  },
);

/** Any interleaving of writers, of lives of the topic, of subscribers who come late and who are told of gaps. */
const histories = fc
  .record({
    order: fc.array(fc.nat(3), { minLength: 1, maxLength: 60 }),
    restartsAt: fc.array(fc.nat(60), { maxLength: 3 }),
    subscribers: fc.array(
      fc.record({ from: fc.nat(5), gaps: fc.array(fc.tuple(fc.nat(60), fc.nat(6)), { maxLength: 3 }) }),
      {
        minLength: 1,
        maxLength: 4,
      },
    ),
    unanswered: fc.array(fc.nat(60), { maxLength: 5 }),
  })
  .map(({ order, restartsAt, subscribers, unanswered }) => {
    const log: SeenEvent[] = [];
    const counts = [0, 0, 0, 0];
    let [life, offset] = [1, 0];
    order.forEach((writer, i) => {
      if (restartsAt.includes(i)) [life, offset] = [life + 1, 0];
      log.push({ at: [`e${life}`, ++offset], writer: `w${writer}`, seq: counts[writer] as number });
      counts[writer] = (counts[writer] as number) + 1;
    });
    const writes = log.map(({ at, writer, seq }, i) => ({
      topic: TOPIC,
      writer,
      seq,
      ack: unanswered.includes(i) ? undefined : at,
    }));
    const records = subscribers.map(({ from, gaps }, n): SubscriberRecord => {
      const skip = Math.min(from, log.findIndex(({ at }) => at[0] !== 'e1') === -1 ? log.length : 0, log.length);
      const seen: SubscriberRecord['seen'][number][] = [];
      let epoch = 'e1';
      for (let i = skip; i < log.length; i++) {
        const gap = gaps.find(([at, length]) => i >= at && i < at + length);
        const event = log[i] as SeenEvent;
        if (gap !== undefined) {
          if (log[i + 1] === undefined || i + 1 >= gap[0] + gap[1] || log[i + 1]?.at[0] !== event.at[0]) {
            seen.push({ reset: event.at });
            epoch = event.at[0];
          }
          continue;
        }
        if (event.at[0] !== epoch) seen.push({ reset: [event.at[0], event.at[1] - 1] });
        epoch = event.at[0];
        seen.push(event);
      }
      return { name: `s${n}`, topic: TOPIC, from: ['e1', skip], seen };
    });
    return { writes, subscribers: records, heads: { [TOPIC]: (log.at(-1) as SeenEvent).at }, forgets: life > 1 };
  });

t.test('generated good histories are accepted', async (t) => {
  fc.assert(
    fc.property(histories, (history) => {
      const { complaints } = checkDelivery(history);
      if (complaints.length > 0) throw new Error(complaints.join('\n'));
    }),
    { numRuns: 300 },
  );
  t.pass();
});

t.test('a generated good history with one event taken out, doubled or moved is rejected', async (t) => {
  fc.assert(
    fc.property(histories, fc.nat(), fc.constantFrom('lost', 'doubled', 'moved'), (history, pick, how) => {
      const [subscriber, ...others] = history.subscribers as [SubscriberRecord, ...SubscriberRecord[]];
      const events = subscriber.seen.flatMap((entry, i) => ('at' in entry ? [i] : []));
      fc.pre(events.length > 1);
      const seen = [...subscriber.seen];
      const at = events[pick % events.length] as number;
      if (how === 'lost') seen.splice(at, 1);
      else if (how === 'doubled') seen.splice(at, 0, seen[at] as SeenEvent);
      else {
        const to = events[(pick + 1) % events.length] as number;
        [seen[at], seen[to]] = [seen[to] as SeenEvent, seen[at] as SeenEvent];
      }
      const { complaintCount } = checkDelivery({ ...history, subscribers: [{ ...subscriber, seen }, ...others] });
      // Before a RESET of the same epoch nobody can tell a loss from what the RESET tells.
      const after = subscriber.seen[at + 1];
      return complaintCount > 0 || (how === 'lost' && after !== undefined && 'reset' in after);
    }),
    { numRuns: 300 },
  );
  t.pass();
});

// ---- locks ----------------------------------------------------------------------------------------------------

const LOCK = 'r/x';

/** Builds a history: each step happens at the next ms, and each op is asked and answered around it. */
class Story {
  readonly entries: LockEntry[] = [];
  readonly operations: LockOperation[] = [];
  #now = 0;
  #clock = 0;
  #op = 0;
  readonly #asked = new Map<number, { call: LockOperation['call']; asked: number }>();

  ask(call: LockOperation['call']): number {
    this.#asked.set(++this.#op, { call, asked: ++this.#clock });
    return this.#op;
  }

  answer(op: number, answer: NonNullable<LockOperation['answer']>): void {
    const { call, asked } = this.#asked.get(op) as { call: LockOperation['call']; asked: number };
    this.operations.push({ op, call, asked, answered: ++this.#clock, answer });
  }

  get now(): number {
    return this.#now;
  }

  pass(ms: number): void {
    this.#now += ms;
  }

  grant(owner: string, token: number, { ttl = 1_000, tell = token }: { ttl?: number; tell?: number } = {}): number {
    const op = this.ask('acquire');
    this.entries.push({
      kind: 'grant',
      lock: LOCK,
      now: ++this.#now,
      op,
      token,
      owner,
      expiresAt: this.#now + ttl,
      waited: false,
    });
    this.answer(op, { token: tell });
    return op;
  }

  queue(): number {
    const op = this.ask('acquire');
    this.entries.push({ kind: 'queue', lock: LOCK, now: ++this.#now, op });
    return op;
  }

  turn(op: number, owner: string, token: number): void {
    const { now } = this;
    this.entries.push({ kind: 'grant', lock: LOCK, now, op, token, owner, expiresAt: now + 1_000, waited: true });
    this.answer(op, { token });
  }

  refuse(call: LockOperation['call'], owner: string, code: number, token?: number): void {
    const op = this.ask(call);
    this.entries.push({ kind: 'refuse', lock: LOCK, now: ++this.#now, op, code, owner, token, waited: false });
    this.answer(op, { code });
  }

  renew(owner: string, token: number): void {
    const op = this.ask('refresh');
    const expiresAt = ++this.#now + 1_000;
    this.entries.push({ kind: 'renew', lock: LOCK, now: this.#now, op, token, owner, expiresAt });
    this.answer(op, { token });
  }

  write(token: number | undefined): void {
    const op = this.ask('write');
    this.entries.push({ kind: 'write', lock: LOCK, now: ++this.#now, op, token });
    this.answer(op, {});
  }

  release(owner: string, token: number): void {
    const op = this.ask('release');
    this.entries.push({ kind: 'end', lock: LOCK, now: ++this.#now, op, token, why: 'release', owner });
    this.answer(op, {});
  }

  end(token: number, why: 'time' | 'leave' | 'force' = 'time'): void {
    this.entries.push({ kind: 'end', lock: LOCK, now: ++this.#now, token, why, owner: '' });
  }
}

function complaints(tell: (story: Story) => void): readonly string[] {
  const story = new Story();
  tell(story);
  return checkLocks(story).complaints;
}

t.test('a good history of a lock is accepted', async (t) => {
  const found = complaints((s) => {
    s.write(undefined);
    s.grant('a', 1);
    s.refuse('acquire', 'b', 205);
    s.renew('a', 1);
    s.write(1);
    const [b, c, d] = [s.queue(), s.queue(), s.queue()];
    s.refuse('write', 'b', 205);
    s.release('a', 1);
    s.turn(b, 'b', 2);
    s.entries.push({ kind: 'gone', lock: LOCK, now: s.now, op: c });
    s.answer(c, { code: 113 });
    s.refuse('release', 'a', 125, 1);
    s.pass(2_000);
    s.refuse('refresh', 'b', 125, 2);
    s.end(2);
    s.turn(d, 'd', 3);
    s.end(3, 'force');
    s.grant('a', 4);
    s.entries.push({ kind: 'restart', forgets: false });
    s.write(4);
    s.entries.push({ kind: 'restart', forgets: true });
    s.grant('b', 5);
    s.end(5, 'leave');
  });
  t.strictSame(found, []);
});

t.test('a lease that ran out needs no end before the next grant', async (t) => {
  t.strictSame(
    complaints((s) => {
      s.grant('a', 1, { ttl: 10 });
      s.pass(20);
      s.grant('b', 2);
    }),
    [],
  );
});

const bad: readonly (readonly [what: string, why: RegExp, tell: (story: Story) => void])[] = [
  ['two holders', /two holders/, (s) => [s.grant('a', 1), s.grant('b', 2)]],
  ['a token used again', /token 1 after 1/, (s) => [s.grant('a', 1), s.release('a', 1), s.grant('b', 1)]],
  ['a lower token', /token 4 after 5/, (s) => [s.grant('a', 5), s.release('a', 5), s.grant('b', 4)]],
  [
    'a lower token after a restart',
    /token 4 after 5/,
    (s) => [s.grant('a', 5), s.entries.push({ kind: 'restart', forgets: true }), s.grant('b', 4)],
  ],
  [
    'a write under an old token',
    /write under 1/,
    (s) => [s.grant('a', 1), s.release('a', 1), s.grant('b', 2), s.write(1)],
  ],
  ['a write after the lease', /write under 1/, (s) => [s.grant('a', 1), s.pass(2_000), s.write(1)]],
  ['a write without the token', /write under no/, (s) => [s.grant('a', 1), s.write(undefined)]],
  ['a refresh under an old token', /old token 1/, (s) => [s.grant('a', 1), s.release('a', 1), s.renew('a', 1)]],
  ['a refresh after the lease', /old token 1/, (s) => [s.grant('a', 1), s.pass(2_000), s.renew('a', 1)]],
  ['a refresh by another', /old token 1/, (s) => [s.grant('a', 1), s.renew('b', 1)]],
  ['a release by another', /does not hold/, (s) => [s.grant('a', 1), s.release('b', 1)]],
  ['two ends of one grant', /was over/, (s) => [s.grant('a', 1), s.release('a', 1), s.release('a', 1)]],
  ['a lease that ends early', /early/, (s) => [s.grant('a', 1), s.end(1)]],
  [
    'a waiter that is never answered',
    /never answered/,
    (s) => {
      s.grant('a', 1);
      s.operations.push({ op: s.queue(), call: 'acquire', asked: 1 });
    },
  ],
  [
    'a waiter that is overtaken by one behind it',
    /out of turn/,
    (s) => {
      s.grant('a', 1);
      const [b, c] = [s.queue(), s.queue()];
      s.release('a', 1);
      s.turn(c, 'c', 2);
      s.release('c', 2);
      s.turn(b, 'b', 3);
    },
  ],
  [
    'a waiter that is overtaken by a newcomer',
    /out of turn/,
    (s) => {
      s.grant('a', 1);
      const b = s.queue();
      s.release('a', 1);
      s.grant('c', 2);
      s.release('c', 2);
      s.turn(b, 'b', 3);
    },
  ],
  [
    'a free lock that is refused',
    /refused a free lock/,
    (s) => [s.grant('a', 1), s.release('a', 1), s.refuse('acquire', 'b', 205)],
  ],
  [
    'a holder whose token is refused',
    /refused its own lock/,
    (s) => [s.grant('a', 1), s.refuse('refresh', 'a', 125, 1)],
  ],
  ['a wait for a free lock', /waits for a free lock/, (s) => s.answer(s.queue(), { code: 205 })],
  ['a grant that its client was not told right', /told token 7/, (s) => s.grant('a', 1, { tell: 7 })],
  ['a success that never happened', /does not know/, (s) => s.answer(s.ask('release'), {})],
  [
    'a refusal of what happened',
    /took effect/,
    (s) => {
      s.grant('a', 1);
      const op = s.ask('release');
      s.entries.push({ kind: 'end', lock: LOCK, now: 5, op, token: 1, why: 'release', owner: 'a' });
      s.answer(op, { code: 125 });
    },
  ],
  [
    'an answer before an earlier one was asked',
    /before op 2 was asked/,
    (s) => {
      s.grant('a', 1);
      s.renew('a', 1);
      // The store has them the other way round.
      s.entries.reverse();
    },
  ],
];

for (const [what, why, tell] of bad) {
  t.test(`${what}: rejected`, async (t) => {
    const found = complaints(tell);
    t.ok(
      found.some((text) => why.test(text)),
      found.join('; ') || 'nothing was found',
    );
  });
}

t.test('generated good histories of a lock are accepted', async (t) => {
  const steps = fc.array(
    fc.tuple(fc.constantFrom('ask', 'wait', 'refresh', 'release', 'write', 'pass', 'stale'), fc.nat(3)),
    {
      maxLength: 80,
    },
  );
  fc.assert(
    fc.property(steps, (list) => {
      const story = new Story();
      let token = 0;
      let holder: { owner: string; token: number; until: number } | undefined;
      const line: [op: number, owner: string][] = [];
      const next = (): void => {
        const [first] = line.splice(0, 1);
        holder = undefined;
        if (first === undefined) return;
        story.turn(first[0], first[1], ++token);
        holder = { owner: first[1], token, until: story.now + 1_000 };
      };
      for (const [step, who] of list) {
        const owner = `c${who}`;
        if (holder !== undefined && holder.until <= story.now + 1) {
          story.end(holder.token);
          next();
        }
        if (step === 'pass') {
          story.pass(400);
          continue;
        }
        if (holder === undefined) {
          if (step === 'write') story.write(undefined);
          else {
            story.grant(owner, ++token);
            holder = { owner, token, until: story.now + 1_000 };
          }
        } else if (step === 'ask') story.refuse('acquire', owner, 205);
        else if (step === 'wait') line.push([story.queue(), owner]);
        else if (step === 'refresh') {
          story.renew(holder.owner, holder.token);
          holder.until = story.now + 1_000;
        } else if (step === 'write') story.write(holder.token);
        else if (step === 'stale') story.refuse('release', owner, 125, holder.token - 1);
        else {
          story.release(holder.owner, holder.token);
          next();
        }
      }
      for (const [op] of line) story.answer(op, { code: 113 });
      const { complaints } = checkLocks(story);
      if (complaints.length > 0) throw new Error(complaints.join('\n'));
    }),
    { numRuns: 300 },
  );
  t.pass();
});
