/** examples/election-updates, started for a test: its backend's endpoints, and clients with all that they are told. */
import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import type { Contract } from '../../examples/election-updates/contract.js';
import { HOOKS_SECRET } from '../support/backend.js';
import { startExample, startServed, type Asked } from '../support/example.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { until } from '../support/until.js';

const python = spawnSync('python3', ['--version']).status === 0 || process.env['ROOMWIRE_REQUIRE_PYTHON'] === '1';
export const skip = python ? false : 'python3 is not here';
export const API_KEY = 'the-key-of-the-election-backend';
/** Users of backend/models.py. */
export const [ADA, BEN, CLEO, MALLORY] = ['1', '2', '3', '4'];

/** The page is built as by any front end. */
async function startIt(t: Parameters<typeof startExample>[0], data: string | undefined) {
  const here = fileURLToPath(new URL('../../examples/election-updates/', import.meta.url));
  const pages = mkdtempSync(join(tmpdir(), 'roomwire-election-'));
  t.teardown(() => rmSync(pages, { recursive: true }));
  copyFileSync(join(here, 'dashboard.html'), join(pages, 'dashboard.html'));
  await build({
    entryPoints: [join(here, 'dashboard.ts')],
    outfile: join(pages, 'dashboard.js'),
    bundle: true,
    format: 'esm',
    target: 'es2022',
    tsconfigRaw: '{}',
  });
  const keys = { ROOMWIRE_API_KEYS: `backend=${API_KEY}`, ROOMWIRE_API_KEY: API_KEY };
  const secrets = { ROOMWIRE_JWT_SECRET: SECRET, ROOMWIRE_HOOKS_SECRET: HOOKS_SECRET };
  return startServed<Contract>(t, 'election-updates', { env: { ...keys, ...secrets, PAGE_DIR: pages }, data });
}

type Told = [event: string, action: string, data: Record<string, unknown>];

/** What the tests run on: server.ts, or `roomwire serve` with the backend alone. */
export let isServed = false;
export const serveIt = (): void => void (isServed = true);

export async function start(t: Parameters<typeof startExample>[0], data?: string) {
  const program = isServed
    ? await startIt(t, data)
    : await startExample<Contract>(t, 'election-updates', {
        args: ['--backend-port', '0', ...(data === undefined ? [] : ['--data', data])],
        // The backend of this program talks to this program, whatever the shell says.
        env: { JWT_SECRET: SECRET, ROOMWIRE_API_KEY: API_KEY, ROOMWIRE_URL: 'http://127.0.0.1:9' },
      });
  const backend = /backend on (\S+)/.exec(program.line)?.[1] ?? '';
  const [ada, ben, cleo] = [await tokenFor(ADA), await tokenFor(BEN), await tokenFor(CLEO)];
  return {
    ...program,
    backend,
    tokens: { ada, ben, cleo },
    /** The backend's endpoints; as Ada, who is an admin. */
    async rest(path: string, { method, token = ada, body, text }: Asked = {}) {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(backend + path, {
        method: method ?? (sent === undefined ? 'GET' : 'POST'),
        headers: token === '' ? {} : { authorization: `Bearer ${token}` },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
      return { status: response.status, body: answer };
    },
    /** Connected, with all that it was told. */
    async member(token: string) {
      // What is refused is looked at where it is awaited.
      const client = program.sdk(token, { onError: () => undefined });
      const told: Told[] = [];
      const greetings: { groups: string[] }[] = [];
      client.listen('election_updates').on('*', (given, { event }) => {
        const { action, data } = given as { action: string; data: Record<string, unknown> };
        told.push([event, action, data]);
      });
      client.handle('connection_success', (greeting) => void greetings.push(greeting));
      await until(() => greetings.length === 1);
      return { client, told, greetings };
    },
  };
}
