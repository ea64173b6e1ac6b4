/** Two phones in a room by its code, over the socket and over HTTP. */
import { token } from './example.mjs';
import { terminal } from './terminal.mjs';

const { fetch } = globalThis;

export async function party({ url, browser, file }) {
  const env = { ROOMWIRE_URL: url };
  const person = (name) => token({ sub: name, email: `${name}@example.com` });
  for (const name of ['ann', 'bob']) env[name.toUpperCase()] = person(name);
  const created = await fetch(`${url}/create-room`, {
    method: 'POST',
    headers: { authorization: `Bearer ${env.ANN}` },
  });
  const { code } = await created.json();
  const cli = 'node dist/cli/main.js';
  const pretty = '| python3 -m json.tool';
  const http = (path) => `curl -s "${url}${path}" -H "authorization: Bearer $BOB"`;
  const shown = (path) => `curl -s "localhost:8420${path}" -H "authorization: Bearer $BOB"`;
  const call = (name, who) => ({
    typed: `roomwire call ${name} '{"code":"${code}"}' --token $${who}`,
    run: `${cli} call ${name} '{"code":"${code}"}' --token $${who}`,
  });
  await terminal(
    browser,
    file,
    [
      call('join_room', 'ANN'),
      call('join_room', 'BOB'),
      {
        typed: `${shown(`/get-room-info?code=${code}`)} ${pretty}`,
        run: `${http(`/get-room-info?code=${code}`)} ${pretty}`,
      },
      call('leave_room', 'ANN'),
      call('request_room_info', 'BOB'),
      { typed: shown('/get-room-info?code=NOSUCH'), run: http('/get-room-info?code=NOSUCH') },
    ],
    env,
  );
}
