/** `roomwire conform client`: the SDK and the Python client do what the scripted server asks of them. */
import t from 'tap';
import { clientChecks } from '../../src/conform/client-checks.js';
import { runChecks } from '../../src/conform/report.js';
import { Op } from '../../src/protocol/frames.js';
import { on, type Spoil } from './spoiler.js';
import { clientCaught, drivers, vectors } from './subjects.js';

/** Checks that run at a time: most of what they do is to wait. */
const JOBS = 3;

for (const [name, { skip, command }] of Object.entries(drivers)) {
  t.test(`${name} passes every check of a client`, { skip, timeout: 280_000 }, async (t) => {
    const lines: string[] = [];
    const checks = clientChecks({ driver: command, timeoutMs: 15_000 });
    const sum = await runChecks(checks, {
      json: false,
      timeoutMs: 60_000,
      write: (line) => lines.push(line),
      jobs: JOBS,
    });
    t.strictSame(
      lines.filter((line, i) => line.startsWith('not ok') || lines[i - 1]?.startsWith('not ok')),
      [],
    );
    t.strictSame(sum, { passed: checks.length, failed: 0, skipped: 0 });
  });
}

t.test('each rule that only a client can show has a check of clients', async (t) => {
  const checked = new Set(clientChecks({ driver: [], timeoutMs: 0 }).flatMap(({ rules }) => rules));
  for (const { rule, by } of vectors.unshown) if (by === 'client') t.ok(checked.has(rule), rule);
});

t.test('a driver that lacks a command has the checks that need it skipped', async (t) => {
  const said = `const rl = require('node:readline').createInterface(process.stdin);
    rl.on('line', (text) => console.log(JSON.stringify({ id: JSON.parse(text).id, lacks: true })));`;
  const checks = clientChecks({ driver: [process.execPath, '-e', said], timeoutMs: 15_000 }).slice(0, 2);
  const lines: string[] = [];
  const write = (line: string): void => void lines.push(line);
  const sum = await runChecks(checks, { json: false, timeoutMs: 60_000, write });
  t.strictSame(sum, { passed: 0, failed: 0, skipped: 2 });
  t.match(lines[1], /^ok 1 - .* # SKIP the driver lacks connect$/);
});

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
  const caught = (spoil: Spoil) => clientCaught({ side: 'client', spoil });
  t.equal(await caught((frames) => frames), undefined, 'the wrapper alone spoils nothing');
  for (const [title, spoil] of Object.entries(spoiled)) {
    const by = await caught(spoil);
    t.ok(by, `${title}: by ${by}`);
  }
});
