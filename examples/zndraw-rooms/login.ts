/** `POST /api/login`: a name is all it takes here. Put your own way to sign in there; what counts is the token. */
import { createHmac, randomUUID } from 'node:crypto';
import { json, jsonBody } from '@roomwire/server';
import * as v from 'valibot';
import type { App } from './server.js';

const LIFE_S = 12 * 3600;
const Name = v.pipe(v.string('userName is missing'), v.trim(), v.minLength(1, 'userName is missing'), v.maxLength(60));

export function login(server: App, secret: string): void {
  const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString('base64url');
  const signed = (claims: object): string => {
    const content = `${part({ alg: 'HS256', typ: 'JWT' })}.${part(claims)}`;
    return `${content}.${createHmac('sha256', secret).update(content).digest('base64url')}`;
  };
  server.plugins.http.routes([
    {
      method: 'POST',
      path: '/api/login',
      open: true,
      perSecond: 5,
      async handle({ request }) {
        const { userName } = jsonBody(request, v.object({ userName: Name }, 'userName is missing'));
        const userId = randomUUID().slice(0, 8);
        const token = signed({ sub: userId, name: userName, exp: Math.floor(Date.now() / 1000) + LIFE_S });
        return json(201, { userId, userName, token });
      },
    },
  ]);
}
