/** `roomwire why` and `roomwire topic`: what they print of a server that runs. */
import { once } from 'node:events';
import t from 'tap';
import * as v from 'valibot';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { startCli } from '../support/cli.js';
import { startServer } from '../support/server.js';
import { SECRET as secret, tokenFor } from '../support/tokens.js';

const apiKey = 'an-api-key-of-the-backend';
const contract = defineContract({ topics: { 'chat:{id}': { events: { message: v.unknown() } } } });

t.test('roomwire why prints the sentence, and roomwire topic the state', async (t) => {
  const s = await startServer(t, { contract, plugins: [http()], auth: { secret, apiKeys: [apiKey] } });
  const ada = await s.client({ token: await tokenFor('ada'), instance: 'ada' });
  await s.server.publish('chat:1', 'message', 1);
  await ada.subscribe('chat:1');
  const run = async (...args: string[]) => {
    const child = startCli(t, [...args, '--url', s.http, '--token', apiKey]);
    let out = '';
    child.stdout?.on('data', (chunk) => (out += String(chunk)));
    await once(child, 'close');
    return out;
  };
  t.match(
    await run('why', 'chat:1', '1', 'ada'),
    /^Joined after: it subscribed at .*, after event 1\.\n(session \S+ is connected through e\d\n)?$/,
  );
  t.match(
    await run('topic', 'chat:1'),
    /^chat:1 {2}epoch .* head 1 .*\nsession .* ada .*\nevent +1 .* matched 0, 0 behind\n$/,
  );
  t.match(await run('topic', 'chat:2'), /nobody is in it[^]*similar +chat:1/);
});
