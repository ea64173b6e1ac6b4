/** examples/chat-dashboard, started for a test: agents and customers, and the webhook that brings messages. */
import { createHmac } from 'node:crypto';
import type { Test } from 'tap';
import { DASHBOARDS, type Chat, type Contract, type CustomerType } from '../../examples/chat-dashboard/contract.js';
import type { ConnectOptions } from '../../src/client/node.js';
import { HOOKS_SECRET } from '../support/backend.js';
import { startExample, startServed, type Asked } from '../support/example.js';
import { SECRET, tokenFor } from '../support/tokens.js';

export const WEBHOOK_SECRET = 'the-secret-of-the-webhook';
export const WEBHOOK = '/webhook/incoming-message';
export const CHAT = '65a1b2c3';
export const sign = (text: string, secret = WEBHOOK_SECRET): string =>
  `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`;

/** What the tests run on: server.ts, or `roomwire serve` with the backend in Python. */
export let isServed = false;
export const serveIt = (): void => void (isServed = true);

/** `roomwire serve` passes on to its hooks what it knows of a token: groups, roles, rooms. */
const CLAIMS = {
  agent: { role: 'agent', roles: ['agent'] },
  customer: { role: 'customer', chat_id: CHAT, rooms: [`chat_${CHAT}`] },
};
const API_KEY = 'the-key-of-the-chat-backend';
const served = {
  ROOMWIRE_JWT_SECRET: SECRET,
  ROOMWIRE_HOOKS_SECRET: HOOKS_SECRET,
  ROOMWIRE_API_KEYS: `backend=${API_KEY}`,
  ROOMWIRE_API_KEY: API_KEY,
  WEBHOOK_SECRET,
};

interface Begun {
  readonly data?: string;
  readonly port?: string;
  readonly served?: boolean;
}

export async function start(t: Test, { data, port, served: isPython = isServed }: Begun = {}) {
  const args = Object.entries({ data, port }).flatMap(([name, value]) =>
    value === undefined ? [] : [`--${name}`, value],
  );
  const program = isPython
    ? await startServed<Contract>(t, 'chat-dashboard', { env: served, data })
    : await startExample<Contract>(t, 'chat-dashboard', { args, env: { JWT_SECRET: SECRET, WEBHOOK_SECRET } });
  const tokens = {
    asha: await tokenFor('asha', { name: 'Asha', ...CLAIMS.agent }),
    ravi: await tokenFor('ravi', { name: 'Ravi', ...CLAIMS.agent }),
    /** The customer of CHAT. */
    meera: await tokenFor('meera', { name: 'Meera', ...CLAIMS.customer }),
  };
  let sent = 0;
  const incoming = (chat_id: string, text: string, more: Record<string, unknown> = {}) => {
    const message = { message_id: `wamid.${++sent}`, chat_id, customer_type: 'Customer', name: 'Meera', text, ...more };
    return webhook(JSON.stringify(message));
  };
  const webhook = (text: string, signature = sign(text)) =>
    program.ask(WEBHOOK, { method: 'POST', text, headers: { 'x-hub-signature-256': signature } });
  return {
    ...program,
    tokens,
    incoming,
    webhook,
    list: (asked: Asked = {}, type = 'Customer') =>
      program.ask(`/chats?customer_type=${type}`, { token: tokens.asha, ...asked }),
    /** An agent's page: in its dashboard, with the updates that it was told. */
    async agent(token = tokens.asha, type: CustomerType = 'Customer', options: ConnectOptions = {}) {
      const client = program.sdk(token, { onError: () => undefined, ...options });
      const { room } = DASHBOARDS[type];
      const updates: [event: string, chat: Chat][] = [];
      client.listen(room).on('*', (chat, { event }) => void updates.push([event, chat as Chat]));
      t.same(await client.call('join_room', { room }), { status: 1, room });
      return { client, updates };
    },
  };
}
