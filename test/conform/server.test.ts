/** `roomwire conform server`: our server passes on whatever it runs. */
import t from 'tap';
import { runChecks } from '../../src/conform/report.js';
import { checksOfServer } from './subjects.js';

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
