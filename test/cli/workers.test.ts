/** `roomwire serve --workers` and `roomwire edge`: processes that hold the connections of one server, and how each of them ends. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:net';
import t from 'tap';
import { freePort } from '../support/free-port.js';
import { main, startCli, type CliTest } from '../support/cli.js';
import { until } from '../support/until.js';
import { WireClient } from '../support/wire-client.js';

t.setTimeout(180_000);

const engine = process.env['ROOMWIRE_ENGINE'] ?? 'auto';
/** Processes are found in /proc. */
const skip = process.platform === 'linux' ? false : 'needs /proc';

interface Served {
  readonly child: ChildProcess;
  readonly http: string;
  readonly ended: Promise<unknown[]>;
  said(): string;
  /** Of its workers that take connections. */
  workers(): number[];
}

async function served(child: ChildProcess): Promise<Served> {
  let [out, err] = ['', ''];
  child.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const ended = once(child, 'exit');
  let isOver = false;
  void ended.then(() => (isOver = true));
  await until(() => isOver || / on http:\/\/\S+/.test(out) || / on \S+:\d+, for the hub/.test(out), 'it listens');
  if (isOver) throw new Error(`it ended: ${err}`);
  const http = /on (http:\/\/[^/\s]+)/.exec(out)?.[1] ?? `http://${/ on (\S+:\d+),/.exec(out)?.[1] ?? ''}`;
  return { child, http, ended, said: () => out + err, workers: () => childrenOf(child.pid as number) };
}

function childrenOf(pid: number): number[] {
  const text = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8');
  return text
    .trim()
    .split(' ')
    .filter((id) => id !== '')
    .map(Number);
}

function isAlive(pid: number): boolean {
  try {
    return !/\) Z /.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
}

/** Whether nobody listens there any more. */
async function isFree(http: string): Promise<boolean> {
  const { hostname, port } = new URL(http);
  const probe = createServer();
  return new Promise((resolve) => {
    probe.once('error', () => resolve(false));
    probe.listen({ host: hostname, port: Number(port), exclusive: true }, () => probe.close(() => resolve(true)));
  });
}

async function untilFree(http: string): Promise<void> {
  for (let i = 0; !(await isFree(http)); i++) {
    if (i > 500) throw new Error('somebody keeps the port');
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

function serve(t: CliTest, ...args: string[]): Promise<Served> {
  return served(startCli(t, ['serve', '--port', '0', '--engine', engine, ...args]));
}

t.test('kill -9 of a worker during roomwire load: nothing is lost, doubled or out of order', { skip }, async (t) => {
  const hub = await serve(t, '--workers', '2', '--data', t.testdir());
  t.match(hub.said(), / in 2 workers, store /);
  await until(() => hub.workers().length === 2);
  const before = hub.workers();
  const args = ['--url', hub.http, '--clients', '40', '--publishers', '4', '--rate', '200', '--seconds', '6', '--json'];
  const load = startCli(t, ['load', ...args]);
  let [out, err] = ['', ''];
  load.stdout?.on('data', (data: Buffer) => (out += data.toString()));
  load.stderr?.on('data', (data: Buffer) => (err += data.toString()));
  const ended = once(load, 'exit');
  await until(() => /[1-9]\d* deliveries|delivered/.test(err) || err.split('\n').length > 3, 'it is under way');
  process.kill(before[0] as number, 'SIGKILL');
  await ended;
  const report = JSON.parse(out) as { clients: { reconnects: number; resets: number; gone: number } } & Record<
    string,
    unknown
  >;
  t.comment(out);
  t.ok(report.clients.reconnects > 0, 'its clients came back');
  t.match(report, { clients: { resets: 0, gone: 0, failed: 0 }, lost: 0, duplicates: 0, outOfOrder: 0 });
  await until(() => hub.workers().length === 2 && !hub.workers().includes(before[0] as number), 'another is there');
  t.match(hub.said(), /worker-\d ended \(SIGKILL\): another is started/);
});

for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  t.test(`${signal} to all processes of the group is one orderly stop`, { skip }, async (t) => {
    const child = spawn(
      process.execPath,
      [main, 'serve', '--port', '0', '--engine', engine, '--workers', '2', '--data', t.testdir()],
      { stdio: ['ignore', 'pipe', 'pipe'], detached: true },
    );
    t.teardown(() => child.kill('SIGKILL'));
    const hub = await served(child);
    await until(() => hub.workers().length === 2);
    const workers = hub.workers();
    const client = new WireClient(hub.http.replace('http', 'ws'));
    await client.hello();
    process.kill(-(child.pid as number), signal);
    t.equal((await client.closed).code, 4202, 'the client was told');
    t.same(await hub.ended, [0, null]);
    await until(() => !workers.some(isAlive), 'no worker is left');
    await untilFree(hub.http);
    t.notMatch(hub.said(), /ended \(/);
  });
}

t.test('kill -9 of the hub: its workers tell their clients, end, and nobody keeps the port', { skip }, async (t) => {
  const hub = await serve(t, '--workers', '2', '--data', t.testdir());
  await until(() => hub.workers().length === 2);
  const workers = hub.workers();
  const client = new WireClient(hub.http.replace('http', 'ws'));
  await client.hello();
  hub.child.kill('SIGKILL');
  t.equal((await client.closed).code, 4202, 'by the worker, for the hub is gone');
  await until(() => !workers.some(isAlive), 'no worker is left');
  await untilFree(hub.http);
});

t.test(
  'a worker that hangs is ended and replaced: nobody waits for an answer at its share of the port',
  { skip },
  async (t) => {
    const hub = await serve(t, '--workers', '2', '--memory');
    await until(() => hub.workers().length === 2);
    const hanging = hub.workers()[0] as number;
    process.kill(hanging, 'SIGSTOP');
    await until(() => /edge lost: silent for 5 s/.test(hub.said()), 'it is given up');
    await until(() => /worker-\d ended \(SIGKILL\)/.test(hub.said()), 'it is ended');
    t.notOk(isAlive(hanging));
    await until(() => hub.workers().length === 2, 'another is there');
    for (let i = 0; i < 20; i++) t.equal((await fetch(`${hub.http}/health/live`)).status, 200);
  },
);

t.test('a port that is in use is told as ever, and nothing is left running', { skip }, async (t) => {
  const port = await freePort();
  const first = await served(
    startCli(t, ['serve', '--memory', '--port', String(port), '--engine', engine, '--workers', '1']),
  );
  for (const more of [['--workers', '2'], []]) {
    const second = startCli(t, ['serve', '--memory', '--port', String(port), '--engine', engine, ...more]);
    let err = '';
    second.stderr?.on('data', (data: Buffer) => (err += data.toString()));
    const [code] = (await once(second, 'exit')) as [number];
    t.equal(code, 1);
    t.match(err, new RegExp(`roomwire: port ${port} is in use: stop the other program or choose one with --port`));
  }
  t.equal((await fetch(`${first.http}/health/ready`)).status, 200);
});

t.test('roomwire edge: the page, health and sockets of a hub elsewhere, over TLS with one secret', async (t) => {
  const secret = 'a secret of the link that is long enough';
  const link = `127.0.0.1:${await freePort()}`;
  const env = { ROOMWIRE_LINK_SECRET: secret };
  const args = ['edge', '--hub', link, '--port', '0', '--name', 'far', '--engine', engine, '--log-level', 'info'];
  const edge = await served(startCli(t, args, env));
  t.equal((await fetch(`${edge.http}/health/live`)).status, 200);
  t.equal((await fetch(`${edge.http}/health/ready`)).status, 503, 'there is no hub yet');
  const hub = await served(startCli(t, ['serve', '--memory', '--port', '0', '--engine', engine, '--link', link], env));
  for (let ready = false; !ready;) ready = (await fetch(`${edge.http}/health/ready`)).status === 200;
  t.match(await (await fetch(`${edge.http}/`)).text(), /<!doctype html>/i);
  const [here, far] = [hub, edge].map(({ http }) => new WireClient(http.replace('http', 'ws')));
  for (const client of [here, far]) await client?.hello();
  await here?.call('join:room', { roomId: 'r', create: true });
  await far?.call('join:room', { roomId: 'r' });
  await here?.publish('room:r', 'chat:message:new', 'hello');
  await far?.event('room:r', 'chat:message:new');
  edge.child.kill('SIGTERM');
  t.equal((await far?.closed)?.code, 4202);
  t.same(await edge.ended, [0, null]);
  const wrong = await served(startCli(t, args, { ROOMWIRE_LINK_SECRET: 'another secret, just as long as that one' }));
  await until(() => /secrets differ/.test(wrong.said()) && /could not join/.test(hub.said()), 'both ends say why');
  t.equal((await fetch(`${wrong.http}/health/ready`)).status, 503);
});

t.test('what the settings of a link forbid is one line, and nothing starts', async (t) => {
  const run = async (args: readonly string[]): Promise<string> => {
    const child = startCli(t, args);
    let err = '';
    child.stderr?.on('data', (data: Buffer) => (err += data.toString()));
    const [code] = (await once(child, 'exit')) as [number];
    t.ok(code === 1 || code === 2);
    return err;
  };
  t.match(await run(['edge']), /^roomwire: --hub says where the hub is.*\n$/);
  t.match(
    await run(['edge', '--hub', 'hub.example:1']),
    /^roomwire: refusing a plain link to hub\.example:1: .*--insecure-link\n$/,
  );
  t.match(await run(['edge', '--hub', 'nowhere']), /^roomwire: 'nowhere' is no address such as .*\n$/);
  t.match(await run(['edge', '--hub', 'h:1', '--link-secret', 'short']), /32 characters or more/);
  t.match(
    await run(['serve', '--memory', '--link', '0.0.0.0:1']),
    /^roomwire: refusing a plain link to 0\.0\.0\.0:1: .*\n$/,
  );
  t.match(await run(['serve', '--memory', '--workers', 'many']), /--workers: takes auto, or a number of processes/);
  t.match(await run(['serve', '--memory', '--workers', '999']), /workers: takes auto, or a number from 0 to 128/);
});
