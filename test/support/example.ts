/** Starts a program of examples/ as its README says (without building first), on a free port. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { connect, type Client, type ConnectOptions } from '../../src/client/node.js';
import type { Contract, ShapeOf } from '../../src/protocol/contract.js';
import { main } from './cli.js';
import { freePort } from './free-port.js';
import { tokenFor } from './tokens.js';

interface Test {
  teardown(fn: () => unknown): void;
}

export interface Answer {
  readonly status: number;
  readonly body: Record<string, unknown>;
  readonly headers: Headers;
}

export interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly body?: unknown;
  /** Instead of `body`, as it is. */
  readonly text?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

const throughEdges = new URL('through-edges.mjs', import.meta.url).href;
const root = fileURLToPath(new URL('../..', import.meta.url));
const runner = join(root, 'scripts/example.mjs');

/** `C`: its contract. `env` and `args` beyond the port. */
export async function startExample<C extends Contract>(
  t: Test,
  name: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
) {
  const elsewhere = [process.env['ROOMWIRE_EDGE'], env['ROOMWIRE_TEST_LINK'], env['ROOMWIRE_TEST_CLUSTER']];
  const isHub = elsewhere.some((given) => given !== undefined);
  const started = startProgram(t, process.execPath, [runner, name, '--port', '0', ...args], {
    // The test runner's own hooks are not for this process.
    env: { ...process.env, NODE_OPTIONS: isHub ? `--import=${throughEdges}` : '', ...env },
  });
  const line = await started.line();
  const url = /http:\/\/\S+/.exec(line)?.[0] ?? '';
  const stop = async (): Promise<void> => {
    started.child.kill('SIGTERM');
    await started.gone;
  };
  return { ...started, ...visitors<C>(t, { url, http: url }), line, tokenFor, stop };
}

/** The contract is `C`, the backend of the system answers HTTP at `http`, which may be roomwire itself. */
function visitors<C extends Contract>(t: Test, { url, http }: { readonly url: string; readonly http: string }) {
  const clients: Client<ShapeOf<C>>[] = [];
  t.teardown(() => {
    for (const client of clients) client.close();
  });
  return {
    url,
    async ask(path: string, { method = 'GET', token, body, text, headers = {} }: Asked = {}): Promise<Answer> {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(http + path, {
        method,
        headers: {
          ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          ...headers,
        },
        ...(sent === undefined ? {} : { body: sent }),
      });
      const answer = (await response.json().catch(() => ({}))) as Record<string, unknown>;
      return { status: response.status, body: answer, headers: response.headers };
    },
    /** Another device each time. */
    sdk(token: string, options: ConnectOptions = {}): Client<ShapeOf<C>> {
      const client = connect<C>(url.replace('http', 'ws'), { token, instance: `device-${clients.length}`, ...options });
      clients.push(client);
      return client;
    },
  };
}

/** A child that is killed at the test's end. `line` resolves with the next one on stdout. */
function startProgram(
  t: Test,
  command: string,
  args: readonly string[],
  { env, errors = [] }: { readonly env: NodeJS.ProcessEnv; readonly errors?: string[] },
): { child: ChildProcess; gone: Promise<unknown[]>; errors: string[]; line(): Promise<string> } {
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  const gone = once(child, 'exit');
  t.teardown(async () => {
    child.kill('SIGKILL');
    await gone;
  });
  createInterface(child.stderr).on('line', (line) => errors.push(line));
  const died = gone.then(() => {
    throw new Error(`${args.join(' ')} ended by itself:\n${errors.join('\n')}`);
  });
  died.catch(() => undefined);
  const lines = createInterface(child.stdout);
  return {
    child,
    gone,
    /** What it wrote to stderr: its log. */
    errors,
    async line() {
      const [line] = (await Promise.race([once(lines, 'line'), died])) as [string];
      return line;
    },
  };
}

/**
 * The same system without a program in TypeScript: `roomwire serve` with the example's config, and its backend in Python.
 * `env` is the one environment of both; the backend answers HTTP.
 */
export async function startServed<C extends Contract>(
  t: Test,
  name: string,
  { env, data }: { readonly env: Readonly<Record<string, string>>; readonly data?: string | undefined },
) {
  const port = String(await freePort());
  const edges = process.env['ROOMWIRE_EDGE'];
  const url = `http://127.0.0.1:${port}`;
  const shared = {
    ...process.env,
    NODE_OPTIONS: '',
    PYTHONDONTWRITEBYTECODE: '1',
    PYTHONPATH: join(root, 'clients/python'),
    ROOMWIRE_URL: url,
    ROOMWIRE_PORT: port,
    ROOMWIRE_LOG_LEVEL: 'info',
    BACKEND_PORT: '0',
    ...(edges === undefined ? {} : { ROOMWIRE_WORKERS: edges }),
    ...(data === undefined
      ? { ROOMWIRE_MEMORY: 'true' }
      : { DATABASE: `${data}/backend.sqlite3`, ROOMWIRE_DATA: `${data}/roomwire` }),
    ...env,
  };
  const folder = join(root, 'examples', name);
  const errors: string[] = [];
  const backend = startProgram(t, 'python3', [join(folder, 'backend/app.py')], { env: shared, errors });
  const http = await backend.line();
  const args = [main, 'serve', '--config', join(folder, 'roomwire.json')];
  const server = startProgram(t, process.execPath, args, {
    env: { ...shared, ROOMWIRE_HOOKS_URL: `${http}/roomwire/` },
    errors,
  });
  const line = `${await server.line()}, its backend on ${http}`;
  /** Both end, as on a machine that is shut down. */
  const stop = async (): Promise<void> => {
    server.child.kill('SIGTERM');
    await server.gone;
    backend.child.kill('SIGTERM');
    await backend.gone;
  };
  return { ...server, ...visitors<C>(t, { url, http }), line, tokenFor, stop };
}
