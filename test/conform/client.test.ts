/** `roomwire conform client`: the SDK and the Python client do what the scripted server asks of them. */
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { clientChecks } from '../../src/conform/client-checks.js';
import { runChecks } from '../../src/conform/report.js';
import { programArgs } from '../support/program.js';
import { Op } from '../../src/protocol/frames.js';
import { skipSocketPython, socketPython } from '../support/python.js';
import { on, spoiler, type Spoil } from './spoiler.js';

const drivers = {
  'the SDK': { skip: false, command: [process.execPath, ...programArgs(new URL('driver.ts', import.meta.url))] },
  'the Python client': {
    skip: skipSocketPython,
    command: [socketPython, fileURLToPath(new URL('../../clients/python/tests/driver.py', import.meta.url))],
  },
} as const;

for (const [name, { skip, command }] of Object.entries(drivers)) {
  t.test(`${name} passes every check of a client`, { skip, timeout: 280_000 }, async (t) => {
    const lines: string[] = [];
    const checks = clientChecks({ driver: command, timeoutMs: 15_000 });
    const sum = await runChecks(checks, { json: false, timeoutMs: 60_000, write: (line) => lines.push(line) });
    t.strictSame(
      lines.filter((line, i) => line.startsWith('not ok') || lines[i - 1]?.startsWith('not ok')),
      [],
    );
    t.strictSame(sum, { passed: checks.length, failed: 0, skipped: 0 });
  });
}

/** One client that is wrong each; the SDK behind a wrapper. */
const spoiled: Readonly<Record<string, Spoil>> = {
  'HELLO has company': (frames) => (frames[0]?.[0] === Op.HELLO ? [...frames, [Op.PING, 1]] : frames),
  'HELLO lacks the token': hello((parts) => delete parts['token']),
  'HELLO has another instance each time': hello((parts) => (parts['instance'] = String(Math.random()))),
  'HELLO never resumes': hello((parts) => delete parts['session']),
  'HELLO resumes from the beginning': hello((parts) =>
    Object.values(parts['resume'] as Record<string, unknown[]>).forEach((at) => (at[1] = 0)),
  ),
  'HELLO resumes one too far': hello((parts) =>
    Object.values(parts['resume'] as Record<string, [string, number]>).forEach((at) => at[1]++),
  ),
  'PONG never comes': on(Op.PONG, () => undefined),
  'PONG has another stamp': on(Op.PONG, ([op]) => [op, 'other']),
  'ids are used twice': on(Op.CALL, ([op, , ...rest]) => [op, 2, ...rest]),
  'keys are left out': on(Op.CALL, (frame) => frame.slice(0, 4)),
  'calls have an id too large': on(Op.CALL, ([op, id, ...rest]) => [op, (id as number) + 2 ** 31, ...rest]),
  'AUTH never comes': on(Op.AUTH, () => undefined),
  'ACK never comes': on(Op.ACK, () => undefined),
  'NACK becomes ACK': on(Op.NACK, ([, id]) => [Op.ACK, id, null]),
  'rooms are made anew': on(Op.CALL, (frame) =>
    frame[2] === 'join:room' ? [...frame.slice(0, 3), { ...(frame[3] as object), create: true }, frame[4]] : frame,
  ),
  'locks are never refreshed': on(Op.CALL, (frame) => (frame[2] === 'lock:refresh' ? undefined : frame)),
  'messages have an ext': () => new Uint8Array([0x92, 3, 0xd4, 1, 0]),
  'messages are text': (frames) => JSON.stringify(frames),
};

function hello(change: (parts: Record<string, unknown>) => void): Spoil {
  return on(Op.HELLO, (frame) => {
    change(frame[2] as Record<string, unknown>);
    return frame;
  });
}

t.test('a client that is spoiled is caught', { timeout: 280_000 }, async (t) => {
  const caught = async (spoil: Spoil): Promise<string | undefined> => {
    const through = async (url: string): Promise<string> => {
      const between = await spoiler(url, 'client', spoil);
      t.teardown(() => between.close());
      return between.url;
    };
    for (const { id, run } of clientChecks({ driver: drivers['the SDK'].command, timeoutMs: 3_000, through })) {
      try {
        await run();
      } catch {
        return id;
      }
    }
    return undefined;
  };
  t.equal(await caught((frames) => frames), undefined, 'the wrapper alone spoils nothing');
  for (const [title, spoil] of Object.entries(spoiled)) {
    const by = await caught(spoil);
    t.ok(by, `${title}: by ${by}`);
  }
});
