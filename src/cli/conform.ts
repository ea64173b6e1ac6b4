/** `roomwire conform`: checks a server, or a client in any language, against PROTOCOL.md, rule by rule. */
import { SignJWT } from 'jose';
import { clientChecks } from '../conform/client-checks.js';
import { runChecks, type Check, type Sum } from '../conform/report.js';
import { hasCall, serverChecks, welcomeOf, type Subject } from '../conform/server-checks.js';
import { readVectors, vectorsFolder, type Vectors } from '../conform/vectors.js';
import { command, CommandError, numberFlag, UsageError } from './args.js';
import { printLine } from './print.js';
import { checkedUrl, httpUrl, request } from './remote.js';

interface Flags {
  readonly token: string | undefined;
  readonly secret: string | undefined;
  readonly 'api-key': string | undefined;
  readonly vectors: string | undefined;
  readonly only: string | undefined;
}

export const conform = command({
  name: 'conform',
  usage: 'server <url> | client -- <command> [options]',
  summary: 'Checks a server, or a client in any language, against the rules of PROTOCOL.md.',
  details: `server  plays the client: every vector of protocol/, rule by rule. What the server does not offer is skipped, and
        said: topics and calls named conform:… (protocol/README.md says which), rooms, tokens (--secret), events of
        the server's own and kicks (--api-key).
client  plays the server: resumes, RESET, kicks, drains, late replies, calls, cuts, stalls. The command after -- is the program that
        drives the client under test: it takes commands as JSON lines and writes what it saw (docs/conform.md).

Prints TAP, or JSON lines with --json. A check that fails has one line with its rules, what was wrong, and the bytes of
the last message. The exit code is 1 when one failed.`,
  takes: [2, 64],
  flags: {
    json: { type: 'boolean', help: 'print JSON lines' },
    only: { type: 'string', value: 'TEXT', help: 'only checks whose id or rules contain this' },
    timeout: { type: 'string', value: 'MS', default: '5000', help: 'for each answer that is waited for' },
    jobs: { type: 'string', value: 'N', default: '1', help: 'checks of a client that run at a time' },
    vectors: { type: 'string', value: 'DIR', help: 'vectors of your own instead of those of the package' },
    token: { type: 'string', value: 'TOKEN', env: 'ROOMWIRE_TOKEN', help: 'of a user, where the server asks for one' },
    secret: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_SECRET', help: "the server's secret, to make tokens" },
    'api-key': { type: 'string', value: 'KEY', env: 'ROOMWIRE_API_KEY', help: "for what the server's side does" },
  },
  async run(flags, [which = '', ...rest]) {
    if (which !== 'server' && which !== 'client')
      throw new UsageError(`conform takes server or client, not '${which}'`);
    if (which === 'server' && rest.length > 1) throw new UsageError('conform server takes one address');
    const timeoutMs = numberFlag('timeout', flags.timeout, 10, 600_000);
    const { json = false, only = '' } = flags;
    const jobs = which === 'client' ? numberFlag('jobs', flags.jobs, 1, 64) : 1;
    const checks =
      which === 'client'
        ? clientChecks({ driver: rest, timeoutMs })
        : await checksOf(rest[0] ?? '', vectorsIn(flags.vectors ?? vectorsFolder), timeoutMs, flags);
    const wanted = checks.filter(({ id, rules }) => [id, ...rules].some((text) => text.includes(only)));
    if (wanted.length === 0) throw new CommandError(`no check has '${only}' in its id or rules`);
    // A sequence waits for several answers.
    end(await runChecks(wanted, { json, timeoutMs: 12 * timeoutMs, write: printLine, jobs }));
  },
});

function vectorsIn(folder: string): Vectors {
  try {
    return readVectors(folder);
  } catch (error) {
    throw new CommandError(`${folder}: ${(error as Error).message}`);
  }
}

async function checksOf(address: string, vectors: Vectors, timeoutMs: number, flags: Flags): Promise<Check[]> {
  const { token, secret } = flags;
  const url = checkedUrl(address).replace(/^http/, 'ws').replace(/\/+$/, '');
  const own = token ?? (secret === undefined ? undefined : await signed(secret, 'conform', {}));
  const subject: Subject = { url, host: hostOf(url, flags), token: own };
  const welcome = await welcomeOf(subject, timeoutMs).catch((error: unknown) => {
    throw new CommandError(`RW-HEL-2: ${url} gives no WELCOME: ${(error as Error).message}`);
  });
  const offers = new Set(own === undefined ? ['guests'] : ['tokens']);
  if (await hasCall('join:room', subject, timeoutMs)) offers.add('rooms');
  if (await hasCall('conform:echo', subject, timeoutMs)) offers.add('conform');
  const limits = welcome['limits'] as Readonly<Record<string, number>>;
  return serverChecks({ vectors, timeoutMs, offers, limits, subject });
}

/** What the HTTP interface can have the server do. */
function hostOf(url: string, { secret, 'api-key': key }: Flags): Subject['host'] {
  const ask = (path: string, method: string, body?: unknown): Promise<unknown> =>
    request({ url: httpUrl(url), token: key }, path, { method, ...(body === undefined ? {} : { body }) });
  return {
    pass: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
    ...(secret === undefined ? {} : { token: (user, claims) => signed(secret, user, claims) }),
    ...(key === undefined
      ? {}
      : {
          publish: (topic, event, data) => ask('/api/publish', 'POST', { topic, event, data }),
          kick: (user) => ask(`/api/users/${encodeURIComponent(user)}/sessions`, 'DELETE'),
        }),
  };
}

async function signed(
  secret: string,
  user: string,
  {
    seconds = 3_600,
    groups,
  }: { readonly seconds?: number | undefined; readonly groups?: readonly string[] | undefined },
): Promise<string> {
  return new SignJWT({ name: user.toUpperCase(), ...(groups === undefined ? {} : { groups }) })
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user)
    .setExpirationTime(Math.ceil(Date.now() / 1_000) + seconds)
    .sign(new TextEncoder().encode(secret));
}

function end({ failed }: Sum): void {
  if (failed > 0) throw new CommandError(`${failed} ${failed === 1 ? 'check' : 'checks'} failed`);
}
