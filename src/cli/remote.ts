/** Flags and connection of the commands that talk to a running server. */
import { connect } from '../client/node.js';
import type { Client, ClientState } from '../client/node.js';
import { afterMs, exchange, type Exchanged } from '../server/transport/exchange.js';
import { CommandError, UsageError, type Flag } from './args.js';
import { ASKERS_KEY } from './environment.js';

export const remoteFlags = {
  url: {
    type: 'string',
    value: 'URL',
    default: 'http://127.0.0.1:8420',
    env: 'ROOMWIRE_URL',
    help: 'address of the server, http(s) or ws(s)',
  },
  token: {
    type: 'string',
    value: 'TOKEN',
    env: 'ROOMWIRE_TOKEN',
    help: 'token of a user; for HTTP an API key, by default that of ROOMWIRE_API_KEY',
  },
} as const satisfies Record<string, Flag>;

/** For one request to the server, as a whole. */
const TIMEOUT_MS = 10_000;
/** Of an answer: the longest are a topic's report and its history. */
const ANSWER_BYTES = 64 * 1024 * 1024;

/** Throws a UsageError. */
export function checkedUrl(text: string): string {
  if (!URL.canParse(text) || !/^(https?|wss?):$/.test(new URL(text).protocol)) {
    throw new UsageError(`--url takes an http(s) or ws(s) address such as http://127.0.0.1:8420, not '${text}'`);
  }
  return text;
}

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
  const url = httpUrl(checkedUrl(flags.url as string));
  const text = body === undefined ? undefined : JSON.stringify(body);
  const token = flags.token ?? process.env[ASKERS_KEY] ?? '';
  let answer: Exchanged;
  try {
    answer = await exchange({
      url: new URL(`${url}${path}`),
      method,
      headers: {
        accept: 'application/json',
        'user-agent': 'roomwire-cli',
        ...(text === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }),
        ...(token === '' ? {} : { authorization: `Bearer ${token}` }),
        ...headers,
      },
      ...(text === undefined ? {} : { body: text }),
      timeoutMs: TIMEOUT_MS,
      maxBytes: ANSWER_BYTES,
      after: afterMs,
    });
  } catch (error) {
    throw new CommandError(`cannot reach ${url}: ${(error as Error).message}`);
  }
  const { status, headers: told } = answer;
  if (status >= 300 && status < 400) {
    throw new CommandError(`${url} sends to ${told.location ?? 'elsewhere'} (${status}): give that address with --url`);
  }
  const json = parsed(answer);
  if (status < 200 || status >= 300) {
    const { detail } = (json ?? {}) as { readonly detail?: unknown };
    throw new CommandError(typeof detail === 'string' ? detail : `the server answered ${status}`);
  }
  if (json === undefined)
    throw new CommandError(`${url} answered ${status} with what is not JSON: is it roomwire's address?`);
  return json;
}

function parsed({ body }: Exchanged): unknown {
  try {
    return JSON.parse(body.toString()) as unknown;
  } catch {
    return undefined;
  }
}

/** Connects, or throws a CommandError with the reason after the first refusal. */
export async function connectTo(address: string, token: string | undefined): Promise<Client> {
  const url = checkedUrl(address);
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
