/**
 * scripts/import-rules.mjs as ESLint's `no-restricted-imports`, for an editor to show while one types:
 * one entry per folder, then one per file with an exception. It sees only the text of an import, so
 * scripts/check-imports.mjs has the last word.
 */
import { builtinModules } from 'node:module';
import { posix } from 'node:path';
import { CREATE_REQUIRE_OWNERS, FOLDERS, NODE_EXCEPTIONS, PACKAGE_OWNERS, matches, rowOf } from './import-rules.mjs';
import { client, server } from './packages.mjs';

export function folderRules() {
  // A later entry replaces an earlier one, so http comes before http/page and exceptions come last.
  const rows = [...FOLDERS].reverse();
  const exceptions = [...NODE_EXCEPTIONS, ...CREATE_REQUIRE_OWNERS, ...PACKAGE_OWNERS.flatMap(({ files }) => files)];
  return [
    ...rows.map((row) => entry(row.folder === '' ? '*.ts' : `${row.folder}/**`, row)),
    ...[...new Set(exceptions)].map((pattern) => entry(pattern, rowOf(pattern))),
  ];
}

/** An example is a program of its own: the package by its name, what comes with it, Node, its own folder, and what pages are made with. */
export function exampleRules() {
  const message =
    'An example imports roomwire by its names, valibot, node:, React, esbuild and its own files, as a program elsewhere would.';
  const own = Object.keys(client.manifest.exports).filter((entry) => !entry.endsWith('.json'));
  const roomwire = [server.name, ...own.map((entry) => posix.join(client.name, entry))].join('$|');
  const packages = `${roomwire}$|valibot$|esbuild$|react$|react-dom(/client)?$`;
  const patterns = (own) => [{ regex: `^(?!(${packages}|node:|${own}))`, message }];
  const rule = (own) => ({ 'no-restricted-imports': ['error', { patterns: patterns(own) }] });
  return [
    { files: ['examples/**'], rules: rule('\\./') },
    // A page knows its program's contract.
    { files: ['examples/*/page/**'], rules: rule('\\.\\./contract\\.js$|\\./') },
  ];
}

function entry(pattern, row) {
  const patterns = [
    { regex: `^(${builtinModules.join('|')})(/|$)`, message: 'Write node: before the names of Node’s modules.' },
    ...foreignFolders(row).map((regex) => ({ regex, message: 'See scripts/import-rules.mjs: wrong direction.' })),
  ];
  if (!row.node && !NODE_EXCEPTIONS.includes(pattern)) {
    patterns.push({ regex: '^node:', message: 'This folder runs anywhere: no modules of Node.' });
  }
  const mine = PACKAGE_OWNERS.filter(({ files }) => files.some((file) => file === pattern || matches(pattern, file)));
  const foreign = PACKAGE_OWNERS.filter((owner) => !mine.includes(owner)).flatMap(({ packages }) => packages);
  patterns.push({ regex: `^(${foreign.join('|')})(/|$)`, message: 'See PACKAGE_OWNERS in scripts/import-rules.mjs.' });
  if (row.packages !== undefined) {
    const allowed = [...row.packages, ...mine.flatMap(({ packages }) => packages), 'node:.*', '\\..*'];
    patterns.push({ regex: `^(?!(${allowed.join('|')})(/|$))`, message: 'This folder does without packages.' });
  }
  const paths = CREATE_REQUIRE_OWNERS.includes(pattern)
    ? []
    : [{ name: 'node:module', importNames: ['createRequire'], message: 'No check can follow it; use import.' }];
  return { files: [`src/${pattern}`], rules: { 'no-restricted-imports': ['error', { paths, patterns }] } };
}

/** Regular expressions for relative imports that leave a folder for one it may not import. */
function foreignFolders(row) {
  const [own, room] = row.folder.split('/');
  const tops = [...new Set(FOLDERS.map(({ folder }) => folder.split('/')[0]))].filter(
    (top) => top !== '' && top !== own,
  );
  const expressions = tops
    .filter((top) => !row.folders.includes(top))
    .map((top) => {
      const files = row.folders
        .filter((file) => file.startsWith(`${top}/`))
        .map((file) => (file.endsWith('.ts') ? file.replace(/\.ts$/, '.js') : `${file}/.*`));
      const up = row.folder === '' ? '^\\./' : '^(\\.\\./)+';
      return `${up}${top}/${files.length === 0 ? '' : `(?!(${files.map((file) => file.slice(top.length + 1)).join('|')})$)`}`;
    });
  // Folders inside a folder that have rows of their own: rooms of the same floor, and those further in.
  const inner = FOLDERS.map(({ folder }) => folder).filter((folder) => folder.startsWith(`${own}/`));
  const closed = inner.filter((folder) => folder !== row.folder && !row.folders.includes(folder));
  const prefix = room === undefined ? '^\\.{1,2}/(\\.\\./)*' : '^\\.\\./';
  if (own !== '') expressions.push(...closed.map((folder) => `${prefix}${folder.slice(own.length + 1)}/`));
  // The files of the floor itself, but those that are named.
  if (room !== undefined) {
    const files = row.folders.filter((file) => file.startsWith(`${own}/`) && file.endsWith('.ts'));
    const named = files.map((file) => `${file.slice(own.length + 1, -3)}\\.js$`);
    expressions.push(`^\\.\\./(?!\\.\\./|[^/]+/${named.map((name) => `|${name}`).join('')})`);
  }
  return expressions;
}
