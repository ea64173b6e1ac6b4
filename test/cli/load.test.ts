/** `roomwire load` as a program, against a served roomwire. */
import { once } from 'node:events';
import { setTimeout as pause } from 'node:timers/promises';
import t from 'tap';
import { startCli, type CliTest } from '../support/cli.js';

const HEARD_MS = 30_000;

/** `end` resolves with all it said; `heard` when stderr has matched. */
function load(t: CliTest, args: readonly string[]) {
  const child = startCli(t, ['load', ...args]);
  let [out, err] = ['', ''];
  child.stdout?.on('data', (chunk) => (out += String(chunk)));
  child.stderr?.on('data', (chunk) => (err += String(chunk)));
  const end = once(child, 'close').then(([code]) => ({ code: code as number, out, err }));
  const heard = async (wanted: RegExp): Promise<void> => {
    let ended = false;
    void end.then(() => (ended = true));
    const deadline = performance.now() + HEARD_MS;
    while (!wanted.test(err)) {
      const why = ended ? 'it ended' : performance.now() > deadline ? 'half a minute went by' : undefined;
      if (why !== undefined) throw new Error(`${why} before ${String(wanted)}, and it said: ${out}${err}`);
      await pause(20);
    }
  };
  return { child, end, heard };
}

async function serve(t: CliTest, env: Record<string, string> = {}) {
  const engine = process.env['ROOMWIRE_ENGINE'] ?? 'auto';
  const child = startCli(t, ['serve', '--memory', '--port', '0', '--engine', engine], env);
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return { child, url: /http:\/\/[^\s/]+/.exec(line.toString())?.[0] as string };
}

const times = { p50: Number, p90: Number, p99: Number, max: Number };

t.test('without loss the report counts every event for every client, and --json is one object', async (t) => {
  const { url } = await serve(t);
  const args = ['--url', url, '--clients', '7', '--publishers', '3', '--rate', '200', '--seconds', '1', '--json'];
  const { code, out } = await load(t, args).end;
  t.equal(code, 0);
  t.match(out, /^\{[^\n]+\}\n$/);
  const report = JSON.parse(out) as Record<string, unknown>;
  const shape = {
    url,
    topic: 'room:load',
    event: 'chat:message:new',
    seconds: Number,
    interrupted: false,
    clients: { asked: 7, connected: 7, failed: 0, gone: 0, offline: 0, reconnects: 0, resets: 0 },
    published: {
      askedPerSecond: 200,
      perSecond: Number,
      sent: 200,
      acknowledged: 200,
      failed: 0,
      failures: {},
      notSent: 0,
    },
    deliveries: 1400,
    deliveriesPerSecond: Number,
    lost: 0,
    lostTold: 0,
    duplicates: 0,
    outOfOrder: 0,
    connectMs: times,
    enterMs: times,
    ackMs: times,
    latencyMs: times,
    cpu: Number,
    notes: Array,
    problems: [],
    ok: true,
  };
  t.match(report, shape);
  t.same(Object.keys(report), Object.keys(shape));
});

t.test('for people it is a line for each number, always with the same names', async (t) => {
  const { url } = await serve(t);
  const { code, out } = await load(t, ['--url', url, '--clients', '2', '--seconds', '1', '--bytes', '70000']).end;
  t.equal(code, 0);
  const lines = out.trimEnd().split('\n');
  t.same(
    lines.map((line) => line.slice(0, 14).trimEnd()).filter((name) => name !== 'note'),
    [
      ...['topic', 'clients', 'connect ms', 'enter ms', 'published', 'ack ms', 'delivered', 'lost', 'duplicates'],
      ...['out of order', 'latency ms', 'own cpu'],
    ],
  );
  t.match(out, /^published {5}10 \([\d.]+\/s of 10\/s\); 10 acknowledged, 0 failed, 0 not sent$/m);
  t.match(out, /^delivered {5}20 \([\d.]+\/s\)$/m);
  t.match(out, /^lost {10}0 \(0 told by a RESET\)$/m);
});

t.test('with --rate 0 it only listens, and an interrupt ends it with the report', async (t) => {
  const { url } = await serve(t);
  const { child, end, heard } = load(t, ['--url', url, '--clients', '3', '--rate', '0', '--seconds', '3600']);
  await heard(/^listening: delivered 0/m);
  for (const text of ['one', 'two']) {
    const body = JSON.stringify({ topic: 'room:load', event: 'chat:message:new', data: { text } });
    const headers = { 'content-type': 'application/json' };
    const answer = await fetch(`${url}/api/publish`, { method: 'POST', headers, body });
    t.match(await answer.json(), { matched: 3 }, 'nobody is there to publish');
  }
  await heard(/^listening: delivered 6/m);
  child.kill('SIGINT');
  const { code, out } = await end;
  t.equal(code, 0);
  t.match(out, /^delivered {5}6 /m);
  t.match(out, /^note +interrupted/m);
  t.notMatch(out, /^(published|lost|latency)/m);
});

t.test('an interrupt while it publishes ends it with what was seen up to then', async (t) => {
  const { url } = await serve(t);
  const { child, end, heard } = load(t, ['--url', url, '--clients', '3', '--seconds', '3600', '--json']);
  await heard(/^publishing: delivered [1-9]/m);
  child.kill('SIGTERM');
  const { code, out } = await end;
  t.equal(code, 0);
  const { deliveries, published, interrupted, ok } = JSON.parse(out) as {
    deliveries: number;
    published: { sent: number; acknowledged: number };
    interrupted: boolean;
    ok: boolean;
  };
  t.match({ interrupted, ok }, { interrupted: true, ok: true });
  t.equal(published.acknowledged, published.sent);
  t.equal(deliveries, published.sent * 3);
});

t.test('a server that goes away under load is a failure, after the report', async (t) => {
  const { url, child: server } = await serve(t);
  const { child, end, heard } = load(t, ['--url', url, '--clients', '3', '--seconds', '3600', '--settle', '0']);
  await heard(/^publishing: delivered [1-9]/m);
  server.kill('SIGKILL');
  await heard(/, 4 offline$/m);
  child.kill('SIGINT');
  const { code, out, err } = await end;
  t.equal(code, 1);
  t.match(out, /^clients {7}3 of 3; 0 failed, 0 gone, 4 offline/m);
  t.match(out, /^lost {10}0 /m, 'nobody acknowledged what nobody got');
  t.match(err, /^roomwire: 4 connections were lost and not back at the end[^\n]*\n$/m);
});

t.test('what keeps it from measuring is one line that says what to do, and exit code 1', async (t) => {
  const { url } = await serve(t);
  const secret = await serve(t, { ROOMWIRE_JWT_SECRET: 'a-secret-of-at-least-32-bytes-length!' });
  const failing = async (args: readonly string[], wanted: RegExp): Promise<void> => {
    const { code, out, err } = await load(t, args).end;
    t.equal(code, 1, args.join(' '));
    t.match(err, wanted);
    t.match(
      err.replace(/^(connecting|publishing): .*\n/gm, ''),
      /^roomwire: [^\n]+\n$/,
      'one line, beside the progress',
    );
    t.equal(out, '');
  };
  const runs = [
    failing(['--url', 'http://127.0.0.1:1'], /cannot connect to http:\/\/127\.0\.0\.1:1: .*roomwire serve/),
    failing(['--url', secret.url], /cannot connect .*--token/),
    failing(['--url', url, '--topic', 'no:topic'], /cannot get into no:topic: .*--topic/),
    failing(['--url', url, '--topic', 'room:none'], /no room 'none'.*--create/),
    failing(['--url', url, '--event', 'room:update'], /the server refuses room:update in room:load: .*--event/),
    failing(['--url', url, '--bytes', '300000'], /262144.*--bytes/),
  ];
  await Promise.all(runs);
});

t.test('a mistake in its flags is one line and exit code 2', async (t) => {
  const mistakes = [
    ['room:load'],
    ['--client', '5'],
    ['--clients', 'many'],
    ['--rate=-1'],
    ['--seconds', '1.5'],
    ['--bytes', '9999999'],
    ['--connect-rate', '0'],
    ['--url', 'ftp://somewhere'],
    ['--url', 'nowhere'],
  ];
  const refused = async (args: readonly string[]): Promise<void> => {
    const { code, out, err } = await load(t, args).end;
    t.equal(code, 2, args.join(' '));
    t.match(`${out}${err}`, /^roomwire: [^\n]+\n$/);
  };
  await Promise.all(mistakes.map(refused));
});

t.test('it explains itself with --help', async (t) => {
  const { code, out, err } = await load(t, ['--help']).end;
  t.match({ code, err }, { code: 0, err: '' });
  for (const flag of ['url', 'token', 'topic', 'event', 'clients', 'rate', 'seconds', 'bytes', 'connect-rate', 'json'])
    t.match(out, `--${flag}`);
  t.match(out, /Exit code/);
});
