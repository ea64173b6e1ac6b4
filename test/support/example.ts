/** Starts a program of examples/ as its README says (without building first), on a free port. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { connect, type Client, type ConnectOptions } from '../../src/client/node.js';
import type { Contract, ShapeOf } from '../../src/protocol/contract.js';
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
const runner = fileURLToPath(new URL('../../scripts/example.mjs', import.meta.url));

/** `C`: its contract. `env` and `args` beyond the port. */
export async function startExample<C extends Contract>(
  t: Test,
  name: string,
  { args = [], env = {} }: { readonly args?: readonly string[]; readonly env?: Readonly<Record<string, string>> } = {},
) {
  const isHub = [process.env['ROOMWIRE_EDGE'], env['ROOMWIRE_TEST_LINK']].some((given) => given !== undefined);
  const child = spawn(process.execPath, [runner, name, '--port', '0', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    // The test runner's own hooks are not for this process.
    env: { ...process.env, NODE_OPTIONS: isHub ? `--import=${throughEdges}` : '', ...env },
  });
  const clients: Client<ShapeOf<C>>[] = [];
  const gone = once(child, 'exit');
  t.teardown(async () => {
    for (const client of clients) client.close();
    child.kill('SIGKILL');
    await gone;
  });
  const errors: string[] = [];
  createInterface(child.stderr).on('line', (line) => errors.push(line));
  const died = gone.then(() => {
    throw new Error(`examples/${name} ended by itself:\n${errors.join('\n')}`);
  });
  const [line] = (await Promise.race([once(createInterface(child.stdout), 'line'), died])) as [string];
  died.catch(() => undefined);
  const url = /http:\/\/\S+/.exec(line)?.[0] ?? '';
  return {
    url,
    /** The first line that it printed. */
    line,
    /** What it wrote to stderr: its log. */
    errors,
    child,
    gone,
    async ask(path: string, { method = 'GET', token, body, text, headers = {} }: Asked = {}): Promise<Answer> {
      const sent = text ?? (body === undefined ? undefined : JSON.stringify(body));
      const response = await fetch(url + path, {
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
    tokenFor,
  };
}
