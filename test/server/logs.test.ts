/** What the log says of who came and went and of what was refused. What it never says: test/hostile/auth.test.ts. */
import pino from 'pino';
import * as v from 'valibot';
import t from 'tap';
import { lineLog } from '../../src/server/watch/line-log.js';
import { Config } from '../../src/cli/config.js';
import { http } from '../../src/http/http.js';
import { Op } from '../../src/protocol/frames.js';
import type { AuditLine } from '../../src/server/api.js';
import { ManualTime } from '../support/manual-time.js';
import { startOpen } from '../support/open-server.js';
import type { Test } from '../support/server.js';
import { until } from '../support/until.js';

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** A log as `roomwire serve` writes it, at the most talkative level and with nothing redacted. */
function collect() {
  const text: string[] = [];
  const log = pino({ level: 'debug' }, { write: (line: string) => void text.push(line) });
  const lines = (message: string): Line[] =>
    text.map((line) => JSON.parse(line) as Line).filter(({ msg }) => msg === message);
  return { log, text, lines };
}

async function start(t: Test, options: Parameters<typeof startOpen>[1] = {}) {
  const collected = collect();
  const s = await startOpen(t, { log: collected.log, ...options });
  return { ...s, ...collected };
}

const INFO = pino.levels.values['info'];

t.test(
  'a connection has a line when it comes and one when it goes, with who, whence, how long and how much',
  async (t) => {
    const s = await start(t);
    const client = await s.client();
    await client.subscribe('chat:1');
    await client.publish('chat:1', 'message', 'hi');
    client.send([Op.PING, 1], [Op.PING, 2]);
    await client.barrier();
    const { user, session } = client.welcome;
    const who = { level: INFO, user: user.id, sid: session[0], address: '127.0.0.1' };
    t.match(s.lines('connected'), [{ ...who, resumed: false }]);
    t.same(s.lines('disconnected'), []);
    client.socket.close(4900, 'enough');
    await until(() => s.lines('disconnected').length > 0);
    const [line] = s.lines('disconnected');
    t.match(line, { ...who, code: 4900, reason: 'enough', messages: 5, frames: 6 });
    t.ok((line?.['ms'] as number) >= 0);
    t.ok((line?.['bytes'] as number) > 30);
    await s.client({ session: [session[0], session[1]] });
    t.match(s.lines('connected')[1], { ...who, resumed: true });
  },
);

t.test('each refusal has a line with who, what and why', async (t) => {
  const s = await start(t, { plugins: [http()] as const, limits: { dataBytes: 100 } });
  const client = await s.client();
  const { user, session } = client.welcome;
  const who = { level: INFO, user: user.id, sid: session[0], address: '127.0.0.1' };
  await t.rejects(client.subscribe('nowhere'));
  t.match(s.lines('refused').at(-1), { ...who, code: 'unknown_topic', target: 'nowhere', reason: /nowhere/ });
  await t.rejects(client.publish('news:1', 'headline', { text: 'x' }));
  t.match(s.lines('refused').at(-1), { ...who, code: 'not_subscribed', target: 'news:1' });
  await t.rejects(client.call('strict', { n: 'x' }));
  t.match(s.lines('refused').at(-1), { ...who, code: 'invalid_data', target: 'strict', reason: /n: / });
  await t.rejects(client.call('fail', {}));
  t.match(s.lines('refused').at(-1), { ...who, code: 'handler_failed', target: 'fail' });
  await t.rejects(client.call('echo', 'x'.repeat(200)));
  t.match(s.lines('refused').at(-1), { ...who, code: 'too_large', target: 'echo' });
  client.socket.send('text');
  await client.closed;
  t.match(s.lines('refused').at(-1), { ...who, code: 'text_frame', reason: String });
  const place = { level: INFO, address: '127.0.0.1' };
  await fetch(`${s.http}/api/publish`, { method: 'POST', body: '{' });
  t.match(s.lines('refused').at(-1), { ...place, target: 'POST /api/publish', code: '415', reason: /Content-Type/ });
});

t.test('a refused call is in the audit trail, too', async (t) => {
  const trail: AuditLine[] = [];
  const s = await start(t, { callPolicy: { echo: () => false }, audit: (line) => void trail.push(line) });
  const client = await s.client();
  await t.rejects(client.call('echo', 1), { code: 106 });
  t.match(trail, [{ event: 'denied', code: 'forbidden', target: 'echo', user: client.welcome.user.id }]);
});

t.test('a flood of refusals is sampled, and what was left out is told', async (t) => {
  const time = new ManualTime();
  const s = await start(t, { time });
  const client = await s.client();
  for (let i = 0; i < 150; i++) await t.rejects(client.subscribe(`nowhere:${i}`));
  t.equal(s.lines('refused').length, 100);
  time.advance(1_020);
  t.match(s.lines('refused more than is logged'), [{ count: 50 }]);
  await t.rejects(client.subscribe('nowhere:again'));
  t.equal(s.lines('refused').length, 101);
});

t.test('roomwire serve is quiet unless it is told otherwise', async (t) => {
  t.equal(v.parse(Config, {}).logLevel, 'warn');
});

t.test('lineLog writes each event as one line, whatever it holds', async (t) => {
  const written: string[] = [];
  const { write } = process.stderr;
  process.stderr.write = (text: string) => written.push(text) > 0;
  try {
    lineLog.error(
      { err: new Error('it\nbroke'), n: 1n, deep: { list: Array.from({ length: 200 }, String) } },
      'oh\n no',
    );
    lineLog.info({ text: 'a\r\nb\u2028c' }, 'said');
  } finally {
    process.stderr.write = write;
  }
  t.equal(written.length, 2);
  for (const line of written) t.match(line, /^[^\r\n]+\n$/);
  t.match(JSON.parse(written[0]?.replace('oh no ', '') ?? ''), { err: /it\nbroke[^]*logs\.test/, n: '1' });
});
