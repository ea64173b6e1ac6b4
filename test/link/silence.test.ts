/** How long an end of a link waits for the other to say something. */
import { Duplex, PassThrough } from 'node:stream';
import t, { type Test } from 'tap';
import { Channel } from '../../src/link/channel.js';
import { Op } from '../../src/link/frames.js';
import { frame } from './frame.js';

/** A channel that looks when the test says, at the time that it says. */
function channelIn(t: Test, startMs?: number) {
  // Whole: what is five seconds later is exactly that.
  const began = 1_000_000;
  let second: () => void = () => undefined;
  const timer = (fn: () => void) => {
    second = fn;
    return { unref: () => undefined };
  };
  let at = began;
  t.intercept(performance, 'now', { value: () => at });
  t.capture(globalThis, 'setInterval', timer);
  const closed: string[] = [];
  const incoming = new PassThrough();
  const channel = new Channel({
    stream: Duplex.from({ writable: new PassThrough().resume(), readable: incoming }),
    ...(startMs === undefined ? {} : { startMs }),
    frame: () => undefined,
    taken: () => undefined,
    second: () => undefined,
    closed: (why) => void closed.push(why),
    later: (write) => queueMicrotask(write),
    failed: (error) => void closed.push(String(error)),
  });
  t.teardown(() => channel.close('the test is over'));
  /** Looks once a second until then. */
  const until = (ms: number): void => {
    while (at < began + ms) {
      at += 1_000;
      second();
    }
  };
  return { closed, until, incoming };
}

t.test('who says nothing for five seconds is given up', async (t) => {
  const { closed, until } = channelIn(t);
  until(5_000);
  t.strictSame(closed, []);
  until(6_000);
  t.strictSame(closed, ['silent for 5 s']);
});

t.test(
  'a worker whose process takes long to start on a busy machine was given up, and ended, before it began',
  async (t) => {
    const { closed, until, incoming } = channelIn(t, 60_000);
    until(60_000);
    t.strictSame(closed, [], 'it has that long');
    incoming.write(frame(Op.PING, 0));
    await new Promise(setImmediate);
    until(65_000);
    t.strictSame(closed, [], 'and five seconds from what it said first');
    until(66_000);
    t.strictSame(closed, ['silent for 5 s']);
  },
);

t.test('one that never begins is given up when its time is over', async (t) => {
  const { closed, until } = channelIn(t, 60_000);
  until(61_000);
  t.strictSame(closed, ['silent for 5 s']);
});
