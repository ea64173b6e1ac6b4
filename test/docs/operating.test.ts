/** docs/operating.md and deploy/: what they name exists. */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { cluster } from '../../src/cluster/index.js';
import { settings } from '../../src/cli/settings.js';
import { http } from '../../src/http/http.js';
import { memoryStore } from '../../src/store/memory.js';
import { MemoryEngine } from '../support/memory-journal.js';
import { startServer, openContract } from '../support/server.js';

const root = new URL('../..', import.meta.url).pathname;
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const operating = read('docs/operating.md');
const alerts = read('deploy/alerts.yml');

t.test('every metric and label that the alerts and the page name is served', async (t) => {
  const { http: url } = await startServer(t, { contract: openContract, plugins: [http()] });
  const metricsAt = async (url: string): Promise<string> => (await fetch(`${url}/metrics`)).text();
  const engine = new MemoryEngine();
  const secret = '0123456789abcdef0123456789abcdef';
  const node = cluster({ journal: () => engine.journal(), secret, node: 'a' });
  const { http: hub } = await startServer(t, {
    contract: openContract,
    plugins: [http()],
    cluster: node,
    store: memoryStore(),
  });
  const metrics = `${await metricsAt(url)}${await metricsAt(hub)}`;
  t.match(metrics, /^roomwire_node_hub\{node="a"\} 1$/m);
  const named = new Set([...`${alerts}${operating}`.matchAll(/\broomwire_[a-z_]+/g)].map(([name]) => name));
  t.ok(named.size >= 8);
  for (const name of named) t.match(metrics, new RegExp(`^# TYPE ${name.replace(/_bucket$/, '')} `, 'm'), name);
});

t.test('every alert is explained, and every path of health answers', async (t) => {
  for (const [, name = ''] of alerts.matchAll(/alert: (\w+)/g)) t.ok(operating.includes(`\`${name}\``), name);
  const { http: url } = await startServer(t, { contract: openContract, plugins: [http()] });
  for (const [path] of operating.matchAll(/\/health\/\w+/g)) t.equal((await fetch(`${url}${path}`)).status, 200, path);
});

t.test('every flag and variable is a setting', async (t) => {
  const flags = new Set(settings.map(({ flag }) => `--${flag}`)).add('--check-config').add('--config');
  const variables = new Set(settings.map(({ env }) => env));
  const text = `${operating}${read('deploy/Dockerfile')}${read('deploy/roomwire.service')}`;
  for (const [, flag = ''] of text.matchAll(/roomwire serve[^\n]*?(--[a-z-]+)/g)) t.ok(flags.has(flag), flag);
  for (const [name] of text.matchAll(/\bROOMWIRE_[A-Z_]+/g)) t.ok(variables.has(name), name);
});

const verify = spawnSync('systemd-analyze', ['verify', `${root}deploy/roomwire.service`], { encoding: 'utf8' });
t.test('systemd takes the unit', { skip: verify.error === undefined ? false : 'systemd is not here' }, async (t) => {
  t.notMatch(verify.stderr, /roomwire\.service:\d+/, 'no line it does not know');
});
