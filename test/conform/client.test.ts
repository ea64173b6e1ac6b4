/** `roomwire conform client`: the SDK and the Python client do what the scripted server asks of them. */
import t from 'tap';
import { clientChecks } from '../../src/conform/client-checks.js';
import { runChecks } from '../../src/conform/report.js';
import { drivers, vectors } from './subjects.js';

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
