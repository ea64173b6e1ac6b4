/** What the command prints of others' names and texts: nothing that turns a line around or drives the terminal. */
import { once } from 'node:events';
import fc from 'fast-check';
import t from 'tap';
import { escaped } from '../../src/cli/print.js';
import { http } from '../../src/http/http.js';
import { rooms } from '../../src/rooms/rooms.js';
import { startCli } from '../support/cli.js';
import { roomContract } from '../support/rooms.js';
import { startServer } from '../support/server.js';
import { RLO } from '../support/unseen.js';

t.test(
  'what roomwire topic, why, publish and tail print cannot turn a line around or drive the terminal',
  async (t) => {
    const s = await startServer(t, { contract: roomContract, plugins: [rooms(), http()] as const });
    const evil = `x${RLO}gnp.exe\u001b[2J\u009b2J\u200b`;
    const client = await s.client();
    await client.call('join:room', { roomId: 'demo', create: true });
    const run = async (...args: string[]) => {
      const child = startCli(t, [...args, '--url', s.http]);
      let [out, err] = ['', ''];
      child.stdout?.on('data', (chunk) => (out += String(chunk)));
      child.stderr?.on('data', (chunk) => (err += String(chunk)));
      await once(child, 'close');
      return { out, err };
    };
    const clean = (text: string): boolean => !/[^\n\P{Cc}]|\p{Cf}/u.test(text);
    const tailed = run('tail', 'room:demo', '--count', '1');
    await client.event('room:demo', 'member:joined');
    const published = await run('publish', 'room:demo', 'frame_update', '{"frame":1}', '--key', 'k');
    await client.publish('room:demo', 'chat:message:new', { text: evil });
    const answers = {
      tail: await tailed,
      publish: published,
      why: await run('why', 'room:demo', '1', evil),
      topic: await run('topic', `room:${evil}`),
      'topic --json': await run('topic', `room:${evil}`, '--json'),
      'a refusal': await run('publish', `no:${evil}`, 'event', '1'),
    };
    for (const [name, { out, err }] of Object.entries(answers)) {
      t.ok(clean(out) && clean(err), `${name}: ${JSON.stringify(out + err).slice(0, 200)}`);
    }
    t.match(answers.why.out, /x\\u202egnp\.exe\\u001b\[2J\\u009b2J\\u200b/);
    t.match(answers['topic --json'].out, /"topic":"room:x\\u202e/);
    t.match(JSON.parse(answers['topic --json'].out), { topic: `room:${evil}` }, 'JSON stays the same JSON');
  },
);

t.test('escaped JSON is the same JSON, whatever is in it', async () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const json = JSON.stringify(text);
      return JSON.parse(escaped(json)) === text && !/[\p{Cc}\p{Cf}]/u.test(escaped(json));
    }),
  );
});
