/**
 * The examples as nodes of a cluster, unchanged but for that: one is the hub, another a standby without a disk. Asked through either,
 * the hub answers; when it is killed the other one gives the same answer.
 */
import { randomUUID } from 'node:crypto';
import t from 'tap';
import { connect } from '../../src/client/node.js';
import { freePort } from '../support/free-port.js';
import { noPostgres, startPostgres } from '../support/postgres.js';
import { startExample } from '../support/example.js';
import { SECRET, tokenFor } from '../support/tokens.js';
import { within } from '../support/until.js';
import { skip as noPython } from './election-updates.js';
import { CHAT, sign, WEBHOOK, WEBHOOK_SECRET } from './chat-dashboard.js';

type Program = Awaited<ReturnType<typeof startExample>>;

interface Example {
  readonly skip?: string | false;
  readonly env?: Readonly<Record<string, string>>;
  readonly args?: readonly string[];
  /** Changes something, and answers how to ask for it at any node's address. */
  prepare(program: Program): Promise<(url: string) => Promise<unknown>>;
}

const API_KEY = 'the-key-of-the-backend';

async function get(url: string, token: string): Promise<unknown> {
  const response = await fetch(url, { headers: { authorization: `Bearer ${token}` } });
  if (!response.ok) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  return response.json();
}

async function call(url: string, token: string, name: string, input: object): Promise<Record<string, unknown>> {
  const options = { token, instance: randomUUID(), onError: () => undefined };
  const client = connect(url.replace('http', 'ws'), options);
  try {
    return (await client.call(name, input)) as Record<string, unknown>;
  } finally {
    client.close();
  }
}

const examples: Readonly<Record<string, Example>> = {
  'chat-dashboard': {
    env: { WEBHOOK_SECRET },
    async prepare({ ask }) {
      const message = { message_id: 'wamid.1', chat_id: CHAT, customer_type: 'Customer', name: 'Meera', text: 'hi' };
      const text = JSON.stringify(message);
      await ask(WEBHOOK, { method: 'POST', text, headers: { 'x-hub-signature-256': sign(text) } });
      const agent = await tokenFor('asha', { name: 'Asha', role: 'agent' });
      return (url) => get(`${url}/chats?customer_type=Customer`, agent);
    },
  },
  'election-updates': {
    skip: noPython,
    env: { ROOMWIRE_API_KEY: API_KEY, ROOMWIRE_URL: 'http://127.0.0.1:9' },
    args: ['--backend-port', '0'],
    async prepare() {
      const ada = await tokenFor('1');
      return (url) => call(url, ada, 'subscribe', { groups: ['committee:3'] });
    },
  },
  'party-membership': {
    async prepare({ ask }) {
      const ann = await tokenFor('id-of-ann', { email: 'ann@example.com' });
      const { body } = await ask('/create-room', { method: 'POST', token: ann });
      return async (url) => {
        const joined = await call(url, ann, 'join_room', { code: body['code'] });
        const { code, host, member_count: members } = joined;
        return { code, host, members };
      };
    },
  },
  'tms-chat': {
    env: { API_KEY },
    async prepare({ ask }) {
      const [path, ann] = ['/conversations/1', await tokenFor('ann')];
      await ask(path, { method: 'PUT', token: API_KEY, body: { participants: ['ann'] } });
      await ask(`${path}/messages`, { method: 'POST', token: API_KEY, body: { text: 'hi' } });
      return async (url) => {
        const { room, offset } = await call(url, ann, 'join_conversation', { conversation_id: '1' });
        return { room, offset };
      };
    },
  },
  'zndraw-rooms': {
    async prepare({ ask }) {
      const { body } = await ask('/api/login', { method: 'POST', body: { userName: 'ann' } });
      const token = String(body['token']);
      await ask('/api/rooms/r', { method: 'POST', token, body: { description: 'kept' } });
      await ask('/api/rooms/r/frames', {
        method: 'POST',
        token,
        body: { frames: [{ positions: [[1, 0, 0]], numbers: [6] }] },
      });
      return (url) => get(`${url}/api/rooms/r/frames`, token);
    },
  },
};

void t.test('examples as nodes', { skip: noPostgres }, async (t) => {
  const postgres = await startPostgres(t);
  for (const [name, { skip = false, env = {}, args = [], prepare }] of Object.entries(examples)) {
    await t.test(`${name} answers the same through the hub, the standby, and the next hub`, { skip }, async (t) => {
      const database = name.replaceAll('-', '_');
      await postgres.sql(`create database ${database}`);
      const start = async (port: number): Promise<Program> => {
        const node = {
          ROOMWIRE_TEST_CLUSTER: postgres.url.replace(/postgres$/, database),
          ROOMWIRE_TEST_ADVERTISE: `127.0.0.1:${await freePort()}`,
        };
        const options = { args: [...args, '--port', `${port}`], env: { JWT_SECRET: SECRET, ...env, ...node } };
        return startExample(t, name, options);
      };
      const hub = await start(await freePort());
      const ask = await prepare(hub);
      const answer = await ask(hub.url);
      const port = await freePort();
      const starting = start(port);
      starting.catch(() => undefined);
      const standby = `http://127.0.0.1:${port}`;
      await within(ready(standby), 'the standby takes clients');
      t.strictSame(await ask(standby), answer);
      hub.child.kill('SIGKILL');
      const next = await within(starting, 'it is the hub');
      t.strictSame(await ask(next.url), answer);
    });
  }
});

async function ready(url: string): Promise<void> {
  const isReady = (): Promise<boolean> =>
    fetch(`${url}/health/ready`, { signal: AbortSignal.timeout(2_000) }).then(
      ({ ok }) => ok,
      () => false,
    );
  while (!(await isReady())) await new Promise((resolve) => setTimeout(resolve, 50));
}
