/** `roomwire conform server`: our server passes on whatever it runs, and a server that is spoiled in any one way does not. */
import t from 'tap';
import { runChecks } from '../../src/conform/report.js';
import { Op } from '../../src/protocol/frames.js';
import { on, type Frame, type Spoil } from './spoiler.js';
import { checksOfServer, serverCaught } from './subjects.js';

for (const made of [undefined, 'portable and durable', 'behind an edge'] as const) {
  t.test(`our server passes every check${made === undefined ? '' : `: ${made}`}`, { timeout: 240_000 }, async (t) => {
    const lines: string[] = [];
    const checks = await checksOfServer(t, { timeoutMs: 15_000, made });
    const sum = await runChecks(checks, { json: false, timeoutMs: 60_000, write: (line) => lines.push(line) });
    t.strictSame(
      lines.filter((line, i) => line.startsWith('not ok') || lines[i - 1]?.startsWith('not ok')),
      [],
    );
    t.strictSame(sum, { passed: checks.length, failed: 0, skipped: 0 });
  });
}

const welcome = (change: (parts: Record<string, unknown>) => void): Spoil =>
  on(Op.WELCOME, (frame) => {
    change(frame[2] as Record<string, unknown>);
    return frame;
  });
const at = (op: number, index: number, change: (part: never) => unknown): Spoil =>
  on(op, (frame) => {
    frame[index] = change(frame[index] as never);
    return frame;
  });
const topics = (change: (status: Record<string, unknown>) => void): Spoil =>
  welcome((parts) => Object.values(parts['topics'] as Record<string, Record<string, unknown>>).forEach(change));

/** One server that is wrong each. */
const spoiled: Readonly<Record<string, Spoil>> = {
  'WELCOME never comes': on(Op.WELCOME, () => undefined),
  'WELCOME has another id': at(Op.WELCOME, 1, (id: number) => id + 1),
  'WELCOME says resumed always': welcome((parts) => (parts['resumed'] = true)),
  'WELCOME says resumed never': welcome((parts) => (parts['resumed'] = false)),
  'WELCOME has the same secret each time': welcome((parts) => ((parts['session'] as unknown[])[1] = 'the same')),
  'WELCOME lacks its topics': welcome((parts) => delete parts['topics']),
  'WELCOME lacks its limits': welcome((parts) => delete parts['limits']),
  'WELCOME lacks the time': welcome((parts) => delete parts['time']),
  'WELCOME offers features nobody asked for': welcome((parts) => (parts['features'] = ['positions', 'no-such'])),
  'WELCOME names no user': welcome((parts) => (parts['user'] = {})),
  'topics are recovered always': topics((status) => (status['recovered'] = true)),
  'topics are recovered never': topics((status) => (status['recovered'] = false)),
  'topics have another epoch': topics((status) => (status['epoch'] = 'other')),
  'topics have an offset too many': topics((status) => (status['offset'] = (status['offset'] as number) + 1)),
  'topics tell no code': topics((status) => delete status['code']),
  'PONG never comes': on(Op.PONG, () => undefined),
  'PONG has another stamp': at(Op.PONG, 1, () => 'other'),
  'PONG lacks the time': on(Op.PONG, (frame) => frame.slice(0, 2)),
  'ACK has another id': at(Op.ACK, 1, (id: number) => id + 1),
  'ACK never comes': on(Op.ACK, () => undefined),
  'ACK becomes NACK': on(Op.ACK, ([, id]) => [Op.NACK, id, 130, 'no']),
  'NACK has another code': at(Op.NACK, 2, (code: number) => code + 1),
  'NACK becomes ACK': on(Op.NACK, ([, id]) => [Op.ACK, id, null]),
  'NACK never comes': on(Op.NACK, () => undefined),
  'EVENTS never come': on(Op.EVENTS, () => undefined),
  'EVENTS skip an offset': at(Op.EVENTS, 2, (offset: number) => offset + 1),
  'EVENTS have other data': on(Op.EVENTS, (frame) => [
    ...frame.slice(0, 3),
    ...frame.slice(3).map((item) => [(item as Frame)[0], 'spoiled', null]),
  ]),
  'EVENTS are of another topic': at(Op.EVENTS, 1, (topic: string) => `${topic}x`),
  'SUBSCRIBED never comes': on(Op.SUBSCRIBED, () => undefined),
  'REMOVED never comes': on(Op.REMOVED, () => undefined),
  'CALL never comes': on(Op.CALL, () => undefined),
  'GOAWAY says another code': at(Op.GOAWAY, 1, (code: number) => code + 1),
  'messages are text': (frames) => JSON.stringify(frames),
  'messages have an ext': () => new Uint8Array([0x92, 3, 0xd4, 1, 0]),
  'messages are cut': (frames) =>
    frames.some(([op]) => op === Op.EVENTS) ? new Uint8Array([0x95, 0x30, 0xa9]) : frames,
};

t.test('a server that is spoiled is caught', { timeout: 280_000 }, async (t) => {
  const caught = (spoil: Spoil, closeCode?: (code: number) => number) =>
    serverCaught({ side: 'server', spoil, closeCode });
  t.equal(await caught((frames) => frames), undefined, 'the wrapper alone spoils nothing');
  for (const [title, spoil] of Object.entries(spoiled)) {
    const by = await caught(spoil);
    t.ok(by, `${title}: by ${by}`);
  }
  const by = await caught(
    (frames) => frames,
    (code) => (code >= 4000 ? code + 1 : code),
  );
  t.ok(by, `close codes are others: by ${by}`);
});
