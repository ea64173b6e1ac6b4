/** docs/scale.md: its commands are right, its settings exist, and what it says of the single process holds. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { main } from '../support/cli.js';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(join(root, path), 'utf8');
const scale = read('docs/scale.md');

/** Those that look at a cluster are run where there is one: test/cli/cluster.test.ts. */
const commands = [...scale.matchAll(/^```sh\n(.*?)^```/gms)]
  .flatMap(([, block = '']) => block.trim().split('\n'))
  .filter((command) => !/^roomwire (load|cluster) /.test(command));

t.test('every command of the page is taken as it stands, but for the secret', async (t) => {
  t.ok(commands.length >= 4);
  for (const command of commands) {
    const [, secret, args = ''] = /^(?:(ROOMWIRE_(?:LINK|CLUSTER)_SECRET)=\S+ )?roomwire (.*)$/.exec(command) ?? [];
    const env: NodeJS.ProcessEnv = { ...process.env };
    if (secret !== undefined) env[secret] = 'a secret of the link that is long enough';
    const cwd = t.testdir({ data: {} });
    const said = execFileSync(process.execPath, [main, ...args.split(' '), '--check-config'], {
      env,
      cwd,
      encoding: 'utf8',
    });
    t.equal(said, 'the settings are right\n', command);
  }
});

t.test('the unit and the compose file name flags and variables that exist', async (t) => {
  const help = ['serve', 'edge', 'load', 'cluster']
    .map((name) => execFileSync(process.execPath, [main, name, '--help'], { encoding: 'utf8' }))
    .join('\n');
  const text = [scale, read('deploy/roomwire-edge.service'), read('deploy/compose.yml')].join('\n');
  const named = new Set([...text.matchAll(/(?<![\w-])--[a-z][a-z-]+|ROOMWIRE_[A-Z_]+/g)].map(([name]) => name));
  // Caddy's.
  for (const name of ['--from', '--to']) named.delete(name);
  t.ok(named.size > 10);
  for (const name of named) t.ok(help.includes(name), name);
});

t.test(
  'a single process loads nothing of link, journal and cluster: no file outside imports them but when it is asked to',
  async (t) => {
    const files = readdirSync(join(root, 'src'), { recursive: true, encoding: 'utf8' }).filter((file) =>
      file.endsWith('.ts'),
    );
    for (const file of files.filter((file) => !/^(link|journal|cluster|cli\/cluster-)/.test(file))) {
      const text = read(join('src', file));
      for (const [line] of text.matchAll(
        /^import [^;]*?from '[^']*\/((link|journal|cluster)\/[^']*|cluster-(check|checks|nodes|survival)\.js)'/gm,
      ))
        t.match(line, /^import type /, `${file}: ${line}`);
    }
  },
);
