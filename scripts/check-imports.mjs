/**
 * Checks every import under src/ as it resolves: folder direction, packages and their owners, no
 * cycles (type-only imports count), nothing unresolved, and that every file was really seen. Then the drawing of the
 * rooms in docs/architecture.md, where there is one: each room is in it, and imports only from floors below its own.
 *
 *   node scripts/check-imports.mjs [root, default: this repository]
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { FOLDERS, NODE_EXCEPTIONS, OFF_THE_FLOORS, PACKAGE_OWNERS, matches, rowOf } from './import-rules.mjs';

const root = resolve(process.argv[2] ?? fileURLToPath(new URL('..', import.meta.url)));
const files = listSources(join(root, 'src'));
if (files.length === 0) fail([`no modules under ${join(root, 'src')}`]);

const { output } = await cruise(['src'], {
  baseDir: root,
  tsPreCompilationDeps: true,
  doNotFollow: { path: 'node_modules' },
  validate: true,
  ruleSet: { forbidden: [{ name: 'no-cycles', severity: 'error', from: {}, to: { circular: true } }] },
});

const problems = [];
const seen = new Map(output.modules.map((module) => [module.source, module]));
let imports = 0;
for (const file of files) {
  const module = seen.get(`src/${file}`);
  // Without a TypeScript it understands, dependency-cruiser finds nothing and calls that a success.
  if (module === undefined) problems.push(`${file}: not seen by dependency-cruiser`);
  else if (rowOf(file) === undefined) problems.push(`${file}: its folder is not in scripts/import-rules.mjs`);
  for (const dependency of module?.dependencies ?? []) {
    imports++;
    const problem = judge(file, dependency);
    if (problem !== undefined) problems.push(`${file} → ${dependency.module}: ${problem}`);
  }
}
for (const { cycle } of output.summary.violations) {
  problems.push(`cycle: ${cycle.map((step) => step.name.replace('src/', '')).join(' → ')} → and again`);
}
const floors = readFloors(join(root, 'docs/architecture.md'));
if (floors !== undefined) problems.push(...judgeFloors(floors));
if (problems.length > 0) fail(problems);
console.log(`imports: ${files.length} modules, ${imports} imports, all as they should be`);

/** Why `file` (a path under src) may not have this import; undefined when it may. */
function judge(file, { module, resolved, dependencyTypes, couldNotResolve }) {
  const row = rowOf(file);
  if (row === undefined) return undefined;
  const name = row.folder === '' ? 'the entry' : `${row.folder}/`;
  if (dependencyTypes.includes('core')) {
    return row.node || NODE_EXCEPTIONS.includes(file) ? undefined : `${name} uses no module of Node`;
  }
  if (!module.startsWith('.')) {
    const owner = PACKAGE_OWNERS.find(({ packages }) => packages.some((pkg) => isOf(module, pkg)));
    // An owned package may be optional, so it need not be installed.
    if (owner !== undefined) {
      return owner.files.some((pattern) => matches(file, pattern)) ? undefined : `belongs to ${owner.files.join(', ')}`;
    }
    if (row.packages !== undefined && !row.packages.some((pkg) => isOf(module, pkg))) {
      return `${name} uses ${row.packages.length === 0 ? 'no package' : `only ${row.packages.join(', ')}`}`;
    }
    return couldNotResolve ? 'cannot be resolved' : undefined;
  }
  if (couldNotResolve) return 'cannot be resolved';
  if (!resolved.startsWith('src/')) return 'lies outside src/';
  const target = resolved.slice('src/'.length);
  const targetRow = rowOf(target);
  if (targetRow === row || row.folders.includes(targetRow?.folder) || row.folders.includes(target)) return undefined;
  return `${name} may import ${row.folders.length === 0 ? 'nothing outside itself' : `only ${row.folders.join(', ')}`}`;
}

/** Room → number of its floor, counted from the top; undefined where nothing is drawn. */
function readFloors(document) {
  if (!existsSync(document)) return undefined;
  const drawing = /^```rooms\n(.*?)^```/ms.exec(readFileSync(document, 'utf8'))?.[1];
  if (drawing === undefined) return undefined;
  const found = new Map();
  for (const [floor, line] of drawing.split('\n').entries()) {
    if (!line.includes('│')) continue;
    for (const name of line.split('│')[0].trim().split(/\s+/)) found.set(name, floor);
  }
  return found;
}

/** The name of a file's room in the drawing; undefined for what stands outside. */
function roomOf(file) {
  const folder = rowOf(file)?.folder;
  return folder === undefined || folder === '' || OFF_THE_FLOORS.includes(file) ? undefined : folder.split('/').at(-1);
}

function judgeFloors(floors) {
  const found = [];
  const rooms = new Set(FOLDERS.filter(({ folder }) => folder !== '').map(({ folder }) => folder.split('/').at(-1)));
  for (const name of rooms)
    if (!floors.has(name)) found.push(`docs/architecture.md: the drawing lacks the room ${name}`);
  for (const name of floors.keys()) if (!rooms.has(name)) found.push(`docs/architecture.md: no room is called ${name}`);
  for (const file of files) {
    for (const { resolved } of seen.get(`src/${file}`)?.dependencies ?? []) {
      if (!resolved.startsWith('src/')) continue;
      const [from, to] = [roomOf(file), roomOf(resolved.slice('src/'.length))];
      if (from === undefined || to === undefined || from === to || floors.get(to) > floors.get(from)) continue;
      found.push(`${file} → ${resolved}: in docs/architecture.md ${to} is not on a floor below ${from}`);
    }
  }
  return found;
}

function isOf(specifier, pkg) {
  return specifier === pkg || specifier.startsWith(`${pkg}/`);
}

function listSources(dir) {
  if (!existsSync(dir)) return [];
  const all = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((file) => file.replaceAll(sep, '/'));
  return all.filter((file) => file.endsWith('.ts')).sort();
}

function fail(lines) {
  for (const line of lines) console.error(`imports: ${line}`);
  process.exit(1);
}
