/** The wheel and the clock, alone and driven by hand. */
import { once } from 'node:events';
import { connect, createServer, type AddressInfo } from 'node:net';
import t from 'tap';
import { Clock, systemTime } from '../../src/server/time/clock.js';
import { TICK_MS, Wheel } from '../../src/server/time/wheel.js';
import { random } from '../random.js';
import { ManualTime } from '../support/manual-time.js';

function wheel(time: ManualTime, failed: (error: unknown) => void = (error) => t.fail(String(error))): Wheel {
  return new Wheel(time, failed);
}

t.test('rule 10: however many timers wait, the clock is asked for one tick', (t) => {
  const time = new ManualTime();
  let tickers = 0;
  const every = time.every.bind(time);
  time.every = (ms, fn) => {
    tickers++;
    return every(ms, fn);
  };
  const timers = wheel(time);
  let fired = 0;
  for (let i = 0; i < 100_000; i++) timers.after(i % 60_000, () => fired++);
  time.advance(60_100);
  t.equal(fired, 100_000);
  t.equal(tickers, 1);
  timers.stop();
  t.ok(time.stopped);
  t.end();
});

t.test('a timer never fires early and at most a tick late, whatever the delay and whenever it was set', (t) => {
  const { seed, below } = random();
  t.comment(`SEED=${seed}`);
  const time = new ManualTime();
  const timers = wheel(time);
  let waiting = 0;
  for (let i = 0; i < 3_000; i++) {
    time.advance(below(50));
    // Up to several turns of the wheel.
    const ms = [below(40), below(1_000), below(40_000), 512 * TICK_MS, 0][below(5)]!;
    const due = time.monotonic() + ms;
    waiting++;
    timers.after(ms, () => {
      waiting--;
      const late = time.monotonic() - due;
      if (late < 0 || late > TICK_MS) t.fail(`${late} ms late`);
    });
  }
  time.advance(60_000);
  t.equal(waiting, 0);
  t.end();
});

t.test('a cancelled timer does not fire, not even when one of the same tick cancels it', (t) => {
  const time = new ManualTime();
  const timers = wheel(time);
  const fired: string[] = [];
  const first = timers.after(100, () => fired.push('first'));
  t.equal(first.cancel(), true);
  t.equal(first.cancel(), false);
  timers.after(200, () => {
    fired.push('second');
    third.cancel();
    timers.after(0, () => fired.push('fourth'));
  });
  const third = timers.after(200, () => fired.push('third'));
  time.advance(1_000);
  t.strictSame(fired, ['second', 'fourth']);
  t.equal(third.cancel(), false);
  t.end();
});

t.test('after a long pause every timer gets its turn, in order, and a failing one stops no other', async (t) => {
  const time = new ManualTime();
  const errors: unknown[] = [];
  const timers = wheel(time, (error) => errors.push(error));
  const fired: number[] = [];
  for (const ms of [30_000, 50, 11_000, 7_000]) timers.after(ms, () => fired.push(ms));
  timers.after(8_000, () => {
    throw new Error('broken');
  });
  time.stall(20_000);
  t.strictSame(fired, [], 'not before what came in was read');
  await new Promise<void>((resolve) => time.afterInput(resolve));
  t.strictSame(fired, [50, 7_000, 11_000]);
  t.match(errors, [{ message: 'broken' }]);
  time.advance(9_900);
  t.equal(fired.length, 3);
  time.advance(200);
  t.strictSame(fired, [50, 7_000, 11_000, 30_000]);
});

t.test(
  'a wait for a peer that begins after a freeze, before the wheel has noticed it, is no longer for it',
  async (t) => {
    const time = new ManualTime();
    let turn = (): void => undefined;
    const timers = wheel(Object.assign(time, { every: (_: number, fn: () => void) => ((turn = fn), () => undefined) }));
    const fired: string[] = [];
    timers.afterAwake(3_000, () => fired.push('before'));
    // Frozen: the wheel has no turn, and what came in is read first.
    time.advance(16_000);
    timers.afterAwake(1_000, () => fired.push('after'));
    const passes = async (ms: number): Promise<void> => {
      for (let left = ms; left > 0; left -= TICK_MS) {
        time.advance(TICK_MS);
        turn();
      }
      await new Promise<void>((resolve) => time.afterInput(resolve));
      turn();
    };
    await passes(900);
    t.strictSame(fired, []);
    await passes(200);
    t.strictSame(fired, ['after']);
    await passes(2_000);
    t.strictSame(fired, ['after', 'before']);
  },
);

t.test('after a freeze, what waits in the sockets is read and answered before any timer', async (t) => {
  const order: string[] = [];
  const listening = createServer((socket) => {
    socket.on('data', () => {
      order.push('input');
      // As the hub puts off what it sends to the end of the turn.
      setImmediate(() => order.push('answer'));
    });
  }).listen(0, '127.0.0.1');
  t.teardown(() => listening.close());
  await once(listening, 'listening');
  const arrived = once(listening, 'connection');
  const socket = connect((listening.address() as AddressInfo).port, '127.0.0.1');
  t.teardown(() => socket.destroy());
  await Promise.all([once(socket, 'connect'), arrived]);
  // From a timer, as the wheel does; what is written is in the other's buffer at once.
  await new Promise<void>((resolve) => {
    setTimeout(() => {
      socket.write('x');
      systemTime.afterInput(() => {
        order.push('timers');
        resolve();
      });
    }, 1);
  });
  t.strictSame(order, ['input', 'answer', 'timers']);
});

t.test('delays that are no number, negative or endless do no harm', (t) => {
  const time = new ManualTime();
  const timers = wheel(time);
  let fired = 0;
  for (const ms of [NaN, -5, 0, -Infinity]) timers.after(ms, () => fired++);
  for (const ms of [Infinity, 1e300, Number.MAX_SAFE_INTEGER]) timers.after(ms, () => t.fail('never'));
  time.advance(600_000);
  t.equal(fired, 4);
  t.end();
});

t.test(
  'rule 6: the store clock starts at the high-water mark or the wall clock, and a jump of the wall moves nothing',
  (t) => {
    const time = new ManualTime();
    const wall = time.wall();
    const clock = new Clock(time);
    clock.start(wall - 5_000);
    t.equal(clock.now(), wall);
    time.advance(1_500);
    t.equal(clock.now(), wall + 1_500);
    time.jump(-3_600_000);
    t.equal(clock.now(), wall + 1_500);
    time.jump(7_200_000);
    time.advance(10);
    t.equal(clock.now(), wall + 1_510);
    const ahead = new Clock(time);
    ahead.start(wall + 86_400_000);
    t.equal(ahead.now(), wall + 86_400_000, 'it never runs behind what was told before');
    t.end();
  },
);
