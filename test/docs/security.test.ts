/** Every test that docs/security.md names is there, every default it tells is true, and every limit it names exists. */
import { existsSync, readFileSync } from 'node:fs';
import t from 'tap';
import { defaultLimits } from '../../src/protocol/limits.js';
import { defaultAdmission } from '../../src/server/gate/doorkeeper.js';

const root = new URL('../../', import.meta.url);
const document = readFileSync(new URL('docs/security.md', root), 'utf8');
const rows = document.split('\n').filter((line) => line.startsWith('| ') && !/^\| (threat|---)/.test(line));

t.test('each threat of docs/security.md has a test that exists', (t) => {
  t.ok(rows.length > 20);
  for (const row of rows) {
    const [, threat = '', , tests = ''] = row.split(' | ').length === 3 ? ['', ...row.slice(2, -2).split(' | ')] : [];
    const named = [...tests.matchAll(/`(test\/[\w/.-]+\.test\.ts)`/g)].map(([, file]) => file as string);
    t.ok(named.length > 0, threat);
    for (const file of named) t.ok(existsSync(new URL(file, root)), file);
  }
  t.end();
});

t.test('the limits it names exist, with the defaults it tells', (t) => {
  const known: Readonly<Record<string, number>> = { ...defaultLimits, ...defaultAdmission };
  const told = [...document.matchAll(/`(?:limits|admission)\.(\w+)`(?: ([\d,]+)( s| MiB)?)?/g)];
  t.ok(told.length > 10);
  for (const [, name = '', digits, unit] of told) {
    if (!t.ok(name in known, name) || digits === undefined) continue;
    const factor = unit === ' s' ? 1_000 : unit === ' MiB' ? 1024 * 1024 : 1;
    t.equal(Number(digits.replaceAll(',', '')) * factor, known[name], name);
  }
  t.end();
});
