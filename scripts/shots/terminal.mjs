/** A screenshot of what commands really print: they are run, and their output is shown as a terminal would. */
import { execFile } from 'node:child_process';
import { root } from './example.mjs';

const STYLE = `body { margin: 0; padding: 20px 24px; background: #14171c; color: #d6dae1; width: max-content; max-width: 1070px }
  pre { margin: 0; font: 14px/1.5 'DejaVu Sans Mono', monospace; white-space: pre-wrap; overflow-wrap: anywhere }
  .command { color: #8fd18a } .command::before { content: '$ '; color: #6b7280 } pre + .command { margin-top: 12px }`;

/** `steps`: what is shown as typed, and what is run for it (`sh -c`) with `env`. Resolves to the output of each. */
export async function terminal(browser, file, steps, env = {}) {
  const outputs = [];
  const page = await browser.open(undefined, { width: 1120, height: 300, scale: 1 });
  await page.setContent(`<!doctype html><style>${STYLE}</style>`);
  for (const { typed, run = typed } of steps) {
    const output = await sh(run, env);
    outputs.push(output);
    await page.evaluate(
      ([command, text]) => {
        const { document } = globalThis;
        for (const [kind, content] of [
          ['command', command],
          ['output', text],
        ]) {
          const block = document.body.appendChild(document.createElement('pre'));
          block.className = kind;
          block.textContent = content;
        }
      },
      [typed, output.trim()],
    );
  }
  await page.locator('body').screenshot({ path: file });
  return outputs;
}

/** What a terminal would show of it, stderr too, whatever its exit code. */
function sh(command, env) {
  const options = { cwd: root, env: { ...process.env, ...env }, timeout: 60_000 };
  return new Promise((resolve) => {
    execFile('sh', ['-c', command], options, (error, out, err) => resolve(out + err));
  });
}
