/**
 * Checks every import under src/ as it resolves: folder direction, packages and their owners, no
 * cycles (type-only imports count), nothing unresolved, and that every file was really seen.
 *
 *   node scripts/check-imports.mjs [root, default: this repository]
 */
import { existsSync, readdirSync } from 'node:fs';
import { join, resolve, sep } from 'node:path';
import { fileURLToPath } from 'node:url';
import { cruise } from 'dependency-cruiser';
import { NODE_EXCEPTIONS, PACKAGE_OWNERS, matches, rowOf } from './import-rules.mjs';

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
