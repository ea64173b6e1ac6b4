/** PROTOCOL.md says what the code says: tables, examples, rule ids, opcodes and codes. */
import { spawnSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { decodeMulti } from '@msgpack/msgpack';
import t from 'tap';
import { decodeAll } from '../../src/protocol/codec.js';
import { closes, errors } from '../../src/protocol/codes.js';
import { Op } from '../../src/protocol/frames.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { examples, protocol, root, section, shown, transcript } from './examples.js';

function tables(...args: string[]): { status: number | null; output: string } {
  const run = spawnSync(process.execPath, [`${root}scripts/protocol-tables.mjs`, ...args], { encoding: 'utf8' });
  return { status: run.status, output: run.stdout + run.stderr };
}

t.test('the tables are up to date', async (t) => {
  const { status, output } = tables('--check');
  t.equal(status, 0, output);
});

t.test('a stale table is found, and made anew', async (t) => {
  const file = `${t.testdir({ 'PROTOCOL.md': protocol.replace('| `helloBytes` |', '| `hallo` |') })}/PROTOCOL.md`;
  const { status, output } = tables('--check', file);
  t.equal(status, 1);
  t.match(output, /stale: limits; run npm run docs:tables/);
  t.equal(tables(file).status, 0);
  t.equal(readFileSync(file, 'utf8'), protocol);
});

t.test('every example is what both decoders read', async (t) => {
  const all = [protocol, transcript].flatMap(examples);
  t.equal(all.length, (protocol + transcript).match(/^```hex/gm)?.length);
  for (const { bytes, frames, line } of all) {
    t.same(shown([...decodeMulti(bytes)]), frames, `line ${line}, @msgpack/msgpack`);
    t.same(shown(decodeAll(bytes)), frames, `line ${line}, our codec`);
  }
});

t.test('every opcode has a section, and an example', async (t) => {
  const shownOps = new Set([protocol, transcript].flatMap(examples).flatMap(({ frames }) => frames.map(([op]) => op)));
  for (const [name, op] of Object.entries(Op)) {
    t.match(protocol, new RegExp(`^### .*\\b${name}\\b`, 'm'), `${name} has a section`);
    t.match(protocol, new RegExp(`^[→←↔] \`\\[${op}(, |\\])|and \`\\[${op}, `, 'm'), `${name} has a layout`);
    t.ok(shownOps.has(op), `${name} has an example`);
  }
});

t.test('every code is there by number and name', async (t) => {
  for (const [name, code] of [...Object.entries(errors), ...Object.entries(closes)]) {
    t.ok(protocol.includes(`| ${code} | \`${name}\` |`), `${code} ${name}`);
  }
});

t.test('the tables of Rooms have every call and event of the contract, with its parts', async (t) => {
  const rooms = section('Rooms');
  const { calls, topics } = roomsContract();
  const rows = (name: string) => rooms.split('\n').filter((line) => line.startsWith(`| \`${name}\` | `));
  for (const [name, { input, output }] of Object.entries(calls)) {
    const found = rows(name);
    t.equal(found.length, 1, name);
    const [, , inputCell = '', outputCell = ''] = (found[0] ?? '').replaceAll('\\|', '').split('|');
    // Lease is a type of its own.
    const shownOutput = outputCell.trim() === 'Lease' ? '{target, token, expiresAt, waited?}' : outputCell;
    for (const [cell, schema] of [
      [inputCell, input],
      [shownOutput, output],
    ] as const) {
      const parts = Object.keys((schema as unknown as { entries: object }).entries).sort();
      t.same(topKeys(cell), parts, `${name}: ${cell.trim()}`);
    }
  }
  for (const event of new Set(topics.flatMap(({ events }) => Object.keys(events)))) {
    t.equal(rows(event).length, 1, event);
  }
});

t.test('every rule is defined once, in order, and every id that is cited is a rule', async (t) => {
  const defined = [...protocol.matchAll(/^- \*\*(RW-[A-Z]{3}-\d+)\*\* /gm)].map(([, id]) => id as string);
  t.ok(defined.length > 100);
  t.same([...new Set(defined)].sort(), [...defined].sort(), 'none twice');
  const families = new Map<string, number[]>();
  for (const id of defined) {
    const family = id.slice(0, 6);
    families.set(family, [...(families.get(family) ?? []), Number(id.slice(7))]);
  }
  for (const [family, numbers] of families) {
    const sorted = numbers.sort((a, b) => a - b);
    t.same(
      sorted,
      sorted.map((_, i) => i + 1),
      `${family} has no holes`,
    );
  }
  for (const file of ['PROTOCOL.md', 'protocol', 'README.md', 'src', 'test', 'docs', 'bench', 'examples'].flatMap(
    filesIn,
  )) {
    for (const [id] of readFileSync(root + file, 'utf8').matchAll(/\bRW-[A-Z]+-\d+/g)) {
      t.ok(defined.includes(id), `${id} in ${file}`);
    }
  }
});

t.test('every link inside leads somewhere', async (t) => {
  const anchors = [...protocol.matchAll(/^#{1,4} (.+)$/gm)].map(([, heading = '']) =>
    heading
      .toLowerCase()
      .replace(/[^\w -]/g, '')
      .replaceAll(' ', '-'),
  );
  for (const [, anchor = ''] of protocol.matchAll(/\]\(#([^)]*)\)/g)) t.ok(anchors.includes(anchor), anchor);
});

/** Text files at or under a path of the repository. */
function filesIn(path: string): string[] {
  if (statSync(root + path, { throwIfNoEntry: false }) === undefined) return [];
  if (!statSync(root + path).isDirectory()) return [path];
  return readdirSync(root + path, { withFileTypes: true }).flatMap((entry) => {
    const inner = `${path}/${entry.name}`;
    if (entry.isDirectory()) return entry.name === 'node_modules' ? [] : filesIn(inner);
    return /\.(ts|mjs|js|md|json)$/.test(entry.name) ? [inner] : [];
  });
}

/** The keys of the first map that a cell describes, such as `{roomId, create?: bool}`. */
function topKeys(cell: string): string[] {
  const keys: string[] = [];
  let depth = 0;
  let key = '';
  for (const character of cell.slice(cell.indexOf('{'))) {
    if ('{['.includes(character)) depth++;
    else if ('}]'.includes(character)) depth--;
    else if (depth === 1 && character !== ',') key += character;
    if (depth > 1 || (depth === 1 && character !== ',')) continue;
    keys.push(/\w+/.exec(key)?.[0] ?? '');
    key = '';
    if (depth === 0) break;
  }
  return keys.sort();
}
