/** `roomwire token`: signs a token for development and scripts. */
import { SignJWT } from 'jose';
import { command, CommandError, UsageError } from './args.js';
import { readList } from './values.js';

function groupsIn(text: string): string[] {
  const groups = readList(text);
  if (groups === undefined) throw new UsageError(`--groups takes such as a,b, not '${text}'`);
  return groups;
}

/** What the flags that have a name of their own say is not said twice. */
const OWN = ['sub', 'name', 'groups', 'iss', 'aud', 'exp', 'iat'];

function claimsIn(given: readonly string[]): Record<string, unknown> {
  const claims: Record<string, unknown> = {};
  for (const text of given) {
    const [, key = '', value = ''] = /^([^=]+)=(.*)$/s.exec(text) ?? [];
    if (key === '') throw new UsageError(`--claim takes such as role=agent or level=3, not '${text}'`);
    if (OWN.includes(key)) throw new UsageError(`--claim ${key}=…: there is a flag for it, or the command sets it`);
    if (Object.hasOwn(claims, key)) throw new UsageError(`--claim ${key}=… is given twice`);
    claims[key] = readClaim(value);
  }
  return claims;
}

function readClaim(value: string): unknown {
  try {
    return JSON.parse(value);
  } catch {
    return value;
  }
}

export const token = command({
  name: 'token',
  usage: '--sub ID [options]',
  summary: 'Signs a JSON Web Token (HS256) and prints it.',
  takes: [0, 0],
  flags: {
    secret: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_SECRET', help: "the server's secret" },
    sub: { type: 'string', value: 'ID', help: 'id of the user' },
    name: { type: 'string', value: 'TEXT', help: 'name of the user' },
    claim: {
      type: 'string',
      value: 'KEY=VALUE',
      many: true,
      help: 'a claim of your own, JSON or text; may be given again',
    },
    groups: { type: 'string', value: 'A,B', help: 'groups of the user, for rooms of a group' },
    issuer: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_ISSUER', help: 'issuer to name' },
    audience: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_AUDIENCE', help: 'audience to name' },
    expires: { type: 'string', value: 'TIME', default: '1h', help: 'such as 15m, 1h, 30d' },
  },
  async run({ secret, sub, name, groups, claim, issuer, audience, expires = '1h' }) {
    if (sub === undefined) throw new UsageError('--sub is needed: the id of the user');
    if (secret === undefined) throw new UsageError('--secret or ROOMWIRE_JWT_SECRET is needed');
    if (!/^\d+ ?[smhdwy]$/.test(expires))
      throw new UsageError(`--expires takes such as 15m, 1h, 30d, not '${expires}'`);
    const key = new TextEncoder().encode(secret);
    if (key.length < 32) throw new CommandError('the secret needs at least 32 bytes, such as `openssl rand -hex 32`');
    const jwt = new SignJWT({
      ...claimsIn(claim ?? []),
      ...(name === undefined ? {} : { name }),
      ...(groups === undefined ? {} : { groups: groupsIn(groups) }),
    })
      .setProtectedHeader({ alg: 'HS256' })
      .setSubject(sub)
      .setIssuedAt()
      .setExpirationTime(expires);
    if (issuer !== undefined) jwt.setIssuer(issuer);
    if (audience !== undefined) jwt.setAudience(audience);
    process.stdout.write(`${await jwt.sign(key)}\n`);
  },
});
