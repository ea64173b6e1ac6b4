/**
 * Runs tests: `node scripts/test.mjs [--jobs N] [--again] [files and folders]`, all of test/ by default. Each file is a
 * program of its own, as with `npx tap FILE`, and a file passes when its process does. `--again` runs what failed once
 * more, alone: on a busy machine a test may be starved. The last line counts.
 *
 * tap's own runner loads TypeScript, and its hooks, into each process and its children, which costs more than most tests
 * do. Here all is compiled once, in a second, to a folder that only this run knows; so is tap itself, whose 260 files and
 * React, which it has for printing elements, cost each process more than a quarter of a second.
 */
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { performance } from 'node:perf_hooks';
import { clearTimeout, setTimeout } from 'node:timers';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';
import { build } from 'esbuild';

/** tap's own limit for a test that sets none. */
const TEST_SECONDS = 300;
/** Beyond what any file sets for itself: its process hangs. */
const FILE_MS = 900_000;
const FAILURE_LINES = 300;

const root = fileURLToPath(new URL('..', import.meta.url));
const { values, positionals } = parseArgs({
  options: { jobs: { type: 'string', default: '2' }, again: { type: 'boolean', default: false } },
  allowPositionals: true,
});
const began = performance.now();

function filesUnder(folder, ending) {
  return readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((file) => ending.test(file) && !file.includes('node_modules'))
    .map((file) => join(folder, file))
    .sort();
}

const files = (positionals.length === 0 ? ['test'] : positionals)
  .map((path) => relative(root, join(process.cwd(), path)))
  .flatMap((path) => (statSync(join(root, path)).isDirectory() ? filesUnder(path, /\.test\.ts$/) : [path]));
process.chdir(root);

mkdirSync('.tap', { recursive: true });
const compiled = mkdtempSync(join(root, '.tap/compiled-'));
const running = new Set();
process.on('exit', () => {
  for (const child of running) child.kill('SIGKILL');
  rmSync(compiled, { recursive: true, force: true });
});
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => process.exit(1));

/** `import.meta.url` stays the source's, beside which is what tests and the server look for; but workers are compiled, too. */
const starter = join(root, 'src/link/workers.ts');
const ownUrls = {
  name: 'own-urls',
  setup({ onLoad }) {
    onLoad({ filter: /\.tsx?$/ }, ({ path }) => {
      const url = JSON.stringify(pathToFileURL(path).href);
      const source = readFileSync(path, 'utf8');
      const contents = path === starter ? source : source.replaceAll('import.meta.url', url);
      return { contents, loader: path.endsWith('x') ? 'tsx' : 'ts' };
    });
  },
};
const tapWithoutReact = {
  name: 'tap-without-react',
  setup({ onLoad }) {
    const contents = 'export default String;';
    onLoad({ filter: /tcompare\/dist\/esm\/react-element-to-jsx-string\.js$/ }, () => ({ contents }));
  },
};
await build({
  entryPoints: [fileURLToPath(import.meta.resolve('tap'))],
  outfile: join(compiled, 'node_modules/tap/index.js'),
  bundle: true,
  format: 'esm',
  platform: 'node',
  target: 'node20',
  banner: { js: "import { createRequire as ours } from 'node:module'; const require = ours(import.meta.url);" },
  plugins: [tapWithoutReact],
});
writeFileSync(join(compiled, 'node_modules/tap/package.json'), '{ "type": "module", "exports": "./index.js" }');
await build({
  entryPoints: ['src', 'test', 'bench', 'examples'].flatMap((folder) => filesUnder(folder, /\.tsx?$/)),
  outdir: compiled,
  outbase: root,
  format: 'esm',
  target: 'node20',
  jsx: 'automatic',
  sourcemap: 'linked',
  sourcesContent: false,
  plugins: [ownUrls],
});

/** Of what a test file printed: the assertions that failed with their details, and the seeds; of a crash, its end. */
function failures(output) {
  const lines = output.split('\n');
  const told = [];
  let details = false;
  let previous = '';
  for (const line of lines) {
    details ||= /^ *not ok/.test(previous) && /^ *---$/.test(line);
    if (details || /^ *(not ok|# SEED=)/.test(line)) told.push(line);
    if (/^ *\.\.\.$/.test(line)) details = false;
    previous = line;
  }
  return told.some((line) => line.includes('not ok')) ? told.slice(0, FAILURE_LINES) : lines.slice(-50);
}

function run(file) {
  const started = performance.now();
  const program = join(compiled, file.replace(/ts$/, 'js'));
  const child = spawn(process.execPath, ['--enable-source-maps', program], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TAP_TIMEOUT: `${TEST_SECONDS}`, COMPILED_TESTS: compiled },
  });
  running.add(child);
  const watchdog = setTimeout(() => child.kill('SIGKILL'), FILE_MS);
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text) => (errors += text));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => {
      clearTimeout(watchdog);
      running.delete(child);
      const [total = ''] = output.match(/^# \{ total: .*\}$/gm)?.slice(-1) ?? [];
      const count = (kind) => Number(new RegExp(`[ {]${kind}: (\\d+)`).exec(total)?.[1] ?? 0);
      const ended = total !== '' || /^1\.\.0 # /m.test(output);
      const passed = code === 0 && ended && count('fail') === 0;
      const failed = passed ? 0 : Math.max(1, count('fail'));
      const skipped = total === '' && passed ? 1 : count('skip');
      const counts = `${count('pass')} passed${failed > 0 ? `, ${failed} failed` : ''}`;
      const seconds = ((performance.now() - started) / 1000).toFixed(1);
      console.log(`${passed ? 'ok' : 'not ok'}  ${file}  ${counts}  ${seconds} s`);
      if (errors !== '') console.log(errors.trimEnd());
      if (!passed) {
        console.log(`${file} ended with ${signal ?? code}:`);
        for (const line of failures(output)) console.log(line);
      }
      resolve({ file, passed: count('pass'), failed, skipped });
    });
  });
}

async function runAll(files, jobs) {
  const waiting = [...files];
  const results = [];
  const worker = async () => {
    for (let file; (file = waiting.shift()) !== undefined;) results.push(await run(file));
  };
  await Promise.all(Array.from({ length: jobs }, worker));
  return results;
}

let results = await runAll(files, Number(values.jobs));
const broken = results.filter(({ failed }) => failed > 0).map(({ file }) => file);
if (values.again && broken.length > 0) {
  console.log(`\n==> Once more, alone: ${broken.join(' ')}`);
  const again = await runAll(broken, 1);
  results = [...results.filter(({ failed }) => failed === 0), ...again];
  const flaky = again.filter(({ failed }) => failed === 0).map(({ file }) => file);
  if (flaky.length > 0) console.log(`failed once, passed alone: ${flaky.join(' ')}`);
}
const sum = (kind) => results.reduce((total, result) => total + result[kind], 0);
const lost = results.filter(({ failed }) => failed > 0).map(({ file }) => file);
if (lost.length > 0) console.log(`FAILED: ${lost.join(' ')}`);
const seconds = ((performance.now() - began) / 1000).toFixed(0);
console.log(`${sum('passed')} passed, ${sum('failed')} failed, ${sum('skipped')} skipped in ${seconds} s`);
process.exitCode = files.length > 0 && lost.length === 0 ? 0 : 1;
