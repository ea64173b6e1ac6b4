/**
 * Seeded mutations: of servers and clients that are wrong in one way each the kit catches every one. MUTATIONS=all runs the
 * sixty that CI runs, MUTATIONS=every the whole table; MUTATION_SEED=… takes others.
 */
import t from 'tap';
import { Op } from '../../src/protocol/frames.js';
import { mutations, type Mutation } from './mutations.js';
import type { Frame } from './spoiler.js';
import { clientCaught, serverCaught, vectors } from './subjects.js';

const { MUTATIONS = 'few', MUTATION_SEED = '18' } = process.env;
const COUNT = MUTATIONS === 'every' ? Infinity : MUTATIONS === 'all' ? 30 : 6;
/** Runs at a time: most of what they do is to wait. */
const JOBS = 3;

/** What nobody can tell from a server, or a client, that is right, and why. */
const equivalent: Readonly<Record<string, string>> = {
  'server: GOAWAY are forgotten': 'It may not arrive; the close code alone is enough (RW-CLO-2).',
  'server: GOAWAY come twice': 'What it says is the same.',
  'server: LATEST come twice': 'A receiver is sent the newest value, and that it is (RW-VOL-3).',
  'client: HELLO have another id': 'The requester chooses it (RW-FRM-2).',
  'client: PING come twice': 'Each is answered; they may come at any time.',
  'client: CANCEL come twice': 'Nothing waits any more: nothing happens (RW-CAL-10).',
  'client: VOLATILE come twice': 'The newest value is set to what it is.',
};

/** Checks of clients that look at frames of a kind: with them it begins, so that a run is short. */
const looking: Readonly<Partial<Record<keyof typeof Op, RegExp>>> = {
  HELLO: /^(hello-and-ping|resume|two-cursors|token-again|auth-again|taken-over)/,
  PING: /^(resume|lock-asks|silence|hello-and-ping)$/,
  PONG: /^hello-and-ping$/,
  AUTH: /^auth/,
  CALL: /^(calls|calls-over-a-cut|server-calls|lock-waits|session-gone)$/,
  ACK: /^(calls|server-calls|server-call-over-a-cut)$/,
  NACK: /^(calls|server-calls|server-call-fails)$/,
  CANCEL: /^lock-(granted|lost)/,
  SUBSCRIBE: /^(events-once|subscribes-again|publish)$/,
  UNSUBSCRIBE: /^unsubscribe$/,
  PUBLISH: /^publish/,
  VOLATILE: /^volatile/,
  RESET: /^reset$/,
  REMOVED: /^(removed|leave|leave-unanswered|unwatch)$/,
  LATEST: /^(volatile|crowded)$/,
  EVENTS: /^events-once$/,
  GOAWAY: /^(goaway-counts|drain)$/,
  SUBSCRIBED: /^(state-once|two-cursors)$/,
};

const subjects = {
  server: { caught: serverCaught, first: sequencesWith },
  client: {
    caught: clientCaught,
    first:
      ({ op }: Mutation) =>
      (id: string) =>
        looking[op]?.test(id) ?? false,
  },
} as const;

/** Sequences that wait for such a frame. */
function sequencesWith({ op }: Mutation): (id: string) => boolean {
  const relevant = vectors.sequences.filter(({ steps }) =>
    steps.some(
      (step) =>
        ('expect' in step && step.expect.some((frame) => frame[0] === Op[op])) ||
        (op === 'WELCOME' && 'open' in step && 'welcome' in step),
    ),
  );
  const ids = new Set(relevant.map(({ id }) => id));
  return (id) => ids.has(id);
}

t.test('the wrapper alone spoils nothing', { timeout: 280_000 }, async (t) => {
  const alone = { side: 'server', spoil: (frames: Frame[]) => frames, timeoutMs: 15_000 } as const;
  const looks = (id: string): boolean => Object.values(looking).some((pattern) => pattern.test(id));
  const failures = await Promise.all([serverCaught(alone), clientCaught({ ...alone, only: looks })]);
  t.strictSame(failures, [undefined, undefined]);
});

for (const [subject, { caught, first }] of Object.entries(subjects)) {
  t.test(`each ${subject} that is mutated is caught`, { timeout: 900_000 }, async (t) => {
    const all = mutations(subject as keyof typeof subjects, Number(MUTATION_SEED));
    const waiting = all.filter(({ title }) => !isEquivalent(title)).slice(0, COUNT);
    const worker = async (): Promise<void> => {
      for (let mutation; (mutation = waiting.shift()) !== undefined;) {
        const by = await caught({ ...mutation, first: first(mutation) });
        t.ok(by, `${mutation.title}: by ${by}`);
      }
    };
    await Promise.all(Array.from({ length: JOBS }, worker));
  });
}

function isEquivalent(title: string): boolean {
  return Object.keys(equivalent).some((start) => title.startsWith(start));
}
