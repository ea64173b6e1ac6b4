/** Flags and connection of the commands that talk to a running server. */
import { connect } from '../client/node.js';
import type { Client, ClientState } from '../client/node.js';
import { CommandError, type Flag } from './args.js';

export const remoteFlags = {
  url: {
    type: 'string',
    value: 'URL',
    default: 'http://127.0.0.1:8420',
    env: 'ROOMWIRE_URL',
    help: 'address of the server, http(s) or ws(s)',
  },
  token: { type: 'string', value: 'TOKEN', env: 'ROOMWIRE_TOKEN', help: 'token of a user (or, for HTTP, an API key)' },
} as const satisfies Record<string, Flag>;

export function httpUrl(url: string): string {
  return url.replace(/^ws/, 'http').replace(/\/+$/, '');
}

/** Asks over HTTP; throws a CommandError with what the server says of a refusal. */
export async function request(
  flags: { readonly url: string | undefined; readonly token: string | undefined },
  path: string,
  {
    method = 'GET',
    body,
    headers = {},
  }: { readonly method?: string; readonly body?: unknown; readonly headers?: Readonly<Record<string, string>> } = {},
): Promise<unknown> {
  const url = httpUrl(flags.url as string);
  let response: Response;
  try {
    response = await fetch(`${url}${path}`, {
      method,
      headers: {
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(flags.token === undefined ? {} : { authorization: `Bearer ${flags.token}` }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
  } catch (error) {
    throw new CommandError(`cannot reach ${url}: ${String((error as Error).cause ?? error)}`);
  }
  const answer = (await response.json().catch(() => ({}))) as { detail?: string };
  if (!response.ok) throw new CommandError(answer.detail ?? `the server answered ${response.status}`);
  return answer;
}

/** Connects, or throws a CommandError with the reason after the first refusal. */
export async function connectTo(url: string, token: string | undefined): Promise<Client> {
  const client = connect(url.replace(/^http/, 'ws'), {
    ...(token === undefined ? {} : { token }),
    agent: 'roomwire-cli',
  });
  await new Promise<void>((resolve, reject) => {
    const look = (state: ClientState): void => {
      if (state.status === 'live') resolve();
      else if (state.status === 'refused' || state.status === 'offline') {
        client.close();
        reject(new CommandError(`cannot connect to ${url}: ${state.reason?.message || 'no answer'}`));
      }
    };
    client.state.subscribe(look);
    look(client.state.get());
  });
  return client;
}
