/** A file holds one idea: none of code or style has more than 400 lines. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import t from 'tap';

const MOST = 400;
const root = new URL('../../', import.meta.url);
const counted = /\.(tsx?|mjs|js|css|py|html|c|sh)$|^\.ci\/run$/;
/** What installing, building and running leave behind. */
const made = /(^|\/)(node_modules|dist|dist-bench|coverage|data|\.tap|\.git|__pycache__)$/;

/** What is tracked; where there is no repository to ask, all that nothing made. */
function files(): readonly string[] {
  const cwd = fileURLToPath(root);
  const { status, stdout } = spawnSync('git', ['ls-files', '-z'], { cwd, encoding: 'utf8' });
  // Of a folder that lies in another repository, untracked, git knows no files.
  return status === 0 && stdout !== '' ? stdout.split('\0') : walk('');
}

function walk(folder: string): string[] {
  return readdirSync(new URL(`./${folder}`, root), { withFileTypes: true }).flatMap((entry) => {
    const path = folder + entry.name;
    if (!entry.isDirectory()) return [path];
    return made.test(path) ? [] : walk(`${path}/`);
  });
}

function linesOf(path: string): number {
  const text = readFileSync(new URL(path, root), 'utf8');
  return text.split('\n').length - (text.endsWith('\n') ? 1 : 0);
}

t.test(`no file of code or style has more than ${MOST} lines`, async (t) => {
  // What is deleted is tracked until that is committed.
  const paths = files().filter((path) => counted.test(path) && existsSync(new URL(path, root)));
  t.ok(paths.length > 400, `${paths.length} files are counted`);
  const long = paths.filter((path) => linesOf(path) > MOST);
  t.same(long, []);
});
