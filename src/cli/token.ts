/** `roomwire token`: signs a token for development and scripts. */
import { SignJWT } from 'jose';
import { command, CommandError, UsageError } from './args.js';
import { readList } from './values.js';

function groupsIn(text: string): string[] {
  const groups = readList(text);
  if (groups === undefined) throw new UsageError(`--groups takes such as a,b, not '${text}'`);
  return groups;
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
    groups: { type: 'string', value: 'A,B', help: 'groups of the user, for rooms of a group' },
    issuer: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_ISSUER', help: 'issuer to name' },
    audience: { type: 'string', value: 'TEXT', env: 'ROOMWIRE_JWT_AUDIENCE', help: 'audience to name' },
    expires: { type: 'string', value: 'TIME', default: '1h', help: 'such as 15m, 1h, 30d' },
  },
  async run({ secret, sub, name, groups, issuer, audience, expires = '1h' }) {
    if (sub === undefined) throw new UsageError('--sub is needed: the id of the user');
    if (secret === undefined) throw new UsageError('--secret or ROOMWIRE_JWT_SECRET is needed');
    if (!/^\d+ ?[smhdwy]$/.test(expires))
      throw new UsageError(`--expires takes such as 15m, 1h, 30d, not '${expires}'`);
    const key = new TextEncoder().encode(secret);
    if (key.length < 32) throw new CommandError('the secret needs at least 32 bytes, such as `openssl rand -hex 32`');
    const jwt = new SignJWT({
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
