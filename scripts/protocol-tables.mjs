/**
 * Makes the tables of PROTOCOL.md, between their markers, from the sources: opcodes and their
 * directions (opcodes.ts, frames.ts), codes (codes.ts, code-texts.ts), limits (limits.ts). With `--check` it only says what is
 * stale. A path names another document.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';

const root = fileURLToPath(new URL('..', import.meta.url));
const args = process.argv.slice(2);
const check = args.includes('--check');
const document = args.find((arg) => !arg.startsWith('--')) ?? `${root}PROTOCOL.md`;

const source = (name) => readFileSync(`${root}src/protocol/${name}.ts`, 'utf8');

/** The module's values. These modules import nothing but types. */
async function load(name) {
  const { outputText } = ts.transpileModule(source(name), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022 },
  });
  return import(`data:text/javascript,${encodeURIComponent(outputText)}`);
}

/** The declaration called `name`. */
function declaration(file, name) {
  const tree = ts.createSourceFile(file, source(file), ts.ScriptTarget.ES2022, true);
  const found = tree.statements.find((statement) => statement.name?.text === name);
  if (found === undefined) throw new Error(`${file}.ts declares no ${name}`);
  return found;
}

/** The frames of a union such as ClientFrame, by the names of their opcodes. */
function framesOf(union) {
  const { type } = declaration('frames', union);
  return new Set(
    type.types.map((member) =>
      member
        .getText()
        .replace(/Frame$/, '')
        .toUpperCase(),
    ),
  );
}

/** Where GitHub puts the heading that names the frame. */
function anchorOf(text, frame) {
  const heading = text.match(new RegExp(`^#{2,4} (.*\\b${frame}\\b.*)$`, 'm'))?.[1];
  if (heading === undefined) throw new Error(`no heading names ${frame}`);
  return heading
    .toLowerCase()
    .replace(/[^\w -]/g, '')
    .replaceAll(' ', '-');
}

const cell = (text) => String(text).replaceAll('|', '\\|').replace(/\s+/g, ' ').trim();

function table(head, rows) {
  const line = (cells) => `| ${cells.map(cell).join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

function opcodes(text, numbers) {
  const client = framesOf('ClientFrame');
  const server = framesOf('ServerFrame');
  return table(
    ['opcode', 'frame', 'direction'],
    // A module's exports come in the order of their names.
    Object.entries(numbers)
      .sort(([, a], [, b]) => a - b)
      .map(([name, op]) => [
        op,
        `[${name}](#${anchorOf(text, name)})`,
        client.has(name) ? (server.has(name) ? '↔' : '→') : '←',
      ]),
  );
}

function codes(numbers, texts) {
  const rows = Object.entries(numbers).map(([name, code]) => {
    const { meaning, action } = texts[name];
    return [code, `\`${name}\``, meaning, action];
  });
  return table(['code', 'name', 'meaning', 'what to do'], rows);
}

function limits({ defaultLimits }) {
  const rows = [];
  for (const member of declaration('limits', 'Limits').members) {
    const name = member.name.getText();
    const value = defaultLimits[name].toLocaleString('en');
    const [comment] = ts.getJSDocCommentsAndTags(member);
    // Without a comment of its own it shares the one before.
    if (comment === undefined) {
      const row = rows[rows.length - 1];
      row[0] += `, \`${name}\``;
      row[1] += `; ${value}`;
    } else rows.push([`\`${name}\``, value, ts.getTextOfJSDocComment(comment.comment)]);
  }
  return table(['limit', 'default', 'meaning'], rows);
}

const before = readFileSync(document, 'utf8');
const [ops, { errors, closes }, { errorTexts, closeTexts }, limitValues] = await Promise.all(
  ['opcodes', 'codes', 'code-texts', 'limits'].map(load),
);
const tables = {
  opcodes: opcodes(before, ops),
  errors: codes(errors, errorTexts),
  closes: codes(closes, closeTexts),
  limits: limits(limitValues),
};

let after = before;
const stale = [];
for (const [name, made] of Object.entries(tables)) {
  const start = `<!-- generated: ${name} -->\n`;
  const from = after.indexOf(start);
  const to = after.indexOf('<!-- end -->', from);
  if (from === -1 || to === -1) throw new Error(`${document} has no place for the table ${name}`);
  const body = `\n${made}\n\n`;
  if (after.slice(from + start.length, to) === body) continue;
  stale.push(name);
  after = after.slice(0, from + start.length) + body + after.slice(to);
}
if (stale.length === 0) console.log('PROTOCOL.md: its tables are up to date');
else if (check) {
  console.error(`PROTOCOL.md: stale: ${stale.join(', ')}; run npm run docs:tables`);
  process.exitCode = 1;
} else {
  writeFileSync(document, after);
  console.log(`PROTOCOL.md: wrote ${stale.join(', ')}`);
}
