/**
 * `npm run attacks`: the attack tests of test/hostile with their full counts, on both engines, with progress. The last
 * line is the result. `-- --engine uws` takes one engine; `-- --quick` a twentieth of the counts.
 */
import { spawn } from 'node:child_process';
import { performance } from 'node:perf_hooks';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const FILES = ['floods', 'half-open', 'bad-tokens', 'names', 'oversized'];
const { values } = parseArgs({ options: { engine: { type: 'string' }, quick: { type: 'boolean', default: false } } });
const engines = values.engine === undefined ? ['uws', 'ws'] : [values.engine];
const root = fileURLToPath(new URL('..', import.meta.url));
const began = performance.now();
const seconds = () => `${((performance.now() - began) / 1000).toFixed(0)} s`;
const failed = [];
let attacks = 0;

/** One file at a time: attacks must not be each other's. */
function run(engine, name) {
  const env = { ...process.env, ROOMWIRE_ENGINE: engine, ROOMWIRE_ATTACKS: values.quick ? '' : 'full' };
  const file = `test/hostile/${name}.test.ts`;
  const child = spawn('npx', ['tap', '--jobs=1', '--reporter=tap', '--timeout=600', file], {
    cwd: root,
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  createInterface(child.stdout).on('line', (line) => {
    const told = /^ {4}(not ok|ok) \d+ - (.*?)(?: # time=.*)?$/.exec(line);
    if (told !== null) {
      attacks++;
      console.log(`${seconds().padStart(6)}  ${engine.padEnd(3)}  ${told[1].padEnd(6)}  ${told[2]}`);
    } else if (/^ {8}(# \d|not ok)/.test(line) || /SCALED DOWN/.test(line)) console.log(`        ${line.trim()}`);
  });
  return new Promise((resolve) => {
    child.on('close', (code) => {
      if (code !== 0) failed.push(`${engine} ${name}`);
      resolve();
    });
  });
}

for (const engine of engines) for (const name of FILES) await run(engine, name);
console.log(
  failed.length === 0
    ? `attacks: ${attacks} on ${engines.join(' and ')} withstood in ${seconds()}`
    : `attacks: FAILED ${failed.join(', ')} of ${attacks} in ${seconds()}`,
);
process.exit(failed.length === 0 ? 0 : 1);
