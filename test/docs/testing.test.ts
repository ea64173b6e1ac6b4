/** docs/testing.md: its program runs as printed, and its table has every step of the language, and no other. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { transform } from 'esbuild';
import t from 'tap';
import { Fault, readStep } from '../../src/testing/index.js';

const text = readFileSync(new URL('../../docs/testing.md', import.meta.url), 'utf8');

t.test('every step that the guide has is one, and it has all', async (t) => {
  const named = [...text.matchAll(/`(\{"do":[^`]*\})`/g)]
    .map(([, step = '']) => step)
    .filter((step) => !step.includes('"token"'))
    .map((step) => readStep(Fault, step).do);
  t.same([...new Set(named)].sort(), Fault.options.map(({ entries }) => entries.do.literal).sort());
});

t.test('the program of the guide does what it says', async (t) => {
  const [, program = ''] = /```ts\n([^]*?)```/.exec(text) ?? [];
  const end = "console.log(await ann.call('greet', {})); ann.close(); await test.close();";
  const { code } = await transform(`${program}\n${end}`, { loader: 'ts' });
  const contract = `import { defineContract } from '@roomwire/client/protocol'; import * as v from 'valibot';
    export const contract = defineContract({ calls: { greet: { input: v.object({}) } } });`;
  const dir = t.testdir({ 'program.mjs': code.replace('./contract.js', './contract.mjs'), 'contract.mjs': contract });
  const { stdout, stderr } = spawnSync(process.execPath, [`${dir}/program.mjs`], {
    encoding: 'utf8',
    env: { ...process.env, NODE_OPTIONS: '' },
  });
  t.equal(stdout, 'hello Ann\n', stderr);
});
