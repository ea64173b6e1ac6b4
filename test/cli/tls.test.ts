/** `--tls-cert` and `--tls-key` of `serve` and `edge`: what is printed, what is refused, and the renewal by a signal. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t, { type Test } from 'tap';
import { eventually } from '../support/browser.js';
import { main, startCli } from '../support/cli.js';
import { certificateIn, get, shownAt } from '../support/tls.js';
import { until } from '../support/until.js';

t.setTimeout(120_000);

/** Resolves with what it said once that fits. */
async function started(t: Test, args: readonly string[], isUp: RegExp) {
  const child = startCli(t, args);
  let said = '';
  child.stdout?.on('data', (data: Buffer) => (said += data.toString()));
  child.stderr?.on('data', (data: Buffer) => (said += data.toString()));
  const says = (wanted: RegExp): Promise<void> => until(() => wanted.test(said), String(wanted));
  await says(isUp);
  return { child, says, port: Number(/:(\d+)/.exec(isUp.exec(said)?.[0] ?? '')?.[1]) };
}

for (const [where, args] of [
  ['in one process', []],
  ['through workers', ['--workers', '2']],
  ['through workers of the portable engine', ['--workers', '2', '--engine', 'ws']],
] as const) {
  t.test(`serve shows a renewed certificate after SIGUSR2, ${where}`, async (t) => {
    const certificate = certificateIn(t.testdir());
    const { cert, key } = certificate;
    const flags = ['--memory', '--port', '0', '--tls-cert', cert, '--tls-key', key, ...args];
    const { child, says, port } = await started(t, ['serve', ...flags], /on https:\/\/127\.0\.0\.1:\d+\//);
    t.match(await get(`https://127.0.0.1:${port}/health`), { status: 200 });
    t.equal((await get(`https://127.0.0.1:${port}/health/delivery`)).status, 200);
    certificate.put('second');
    child.kill('SIGUSR2');
    await says(/the certificate in .*cert\.pem is used from here on/);
    // Each worker hears of it a little later.
    const shown: string[] = [];
    await eventually(async () => {
      shown.push(await shownAt(port).catch(() => 'none'));
      return shown.slice(-8).filter((name) => name === 'roomwire test second').length === 8;
    });
    certificate.put('first', 'second');
    child.kill('SIGUSR2');
    await says(/the certificate before stays in use: tls\.key: .*is not the key of the certificate/);
    t.equal(await shownAt(port), 'roomwire test second');
  });
}

t.test('an edge has a certificate of its own, and renews it', async (t) => {
  // The path of a socket is short.
  const folder = mkdtempSync(join(tmpdir(), 'tls-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  const certificate = certificateIn(folder);
  const link = join(folder, 'hub');
  const hub = ['serve', '--memory', '--port', '0', '--link', link];
  await started(t, hub, /on http:\/\/127\.0\.0\.1:\d+\//);
  const flags = ['--hub', link, '--port', '0', '--tls-cert', certificate.cert, '--tls-key', certificate.key];
  const { child, says, port } = await started(t, ['edge', ...flags], /on 127\.0\.0\.1:\d+, for the hub/);
  await eventually(async () => (await get(`https://127.0.0.1:${port}/health`)).status === 200);
  t.equal(await shownAt(port), 'roomwire test first');
  certificate.put('second');
  child.kill('SIGUSR2');
  await says(/is used from here on/);
  t.equal(await shownAt(port), 'roomwire test second');
  t.equal((await get(`https://127.0.0.1:${port}/health`)).status, 200);
});

t.test('without a certificate the signal ends nothing', async (t) => {
  const { child, says, port } = await started(
    t,
    ['serve', '--memory', '--port', '0'],
    /on http:\/\/127\.0\.0\.1:\d+\//,
  );
  child.kill('SIGUSR2');
  await says(/there is no certificate to read anew/);
  t.equal((await fetch(`http://127.0.0.1:${port}/health`)).status, 200);
});

t.test('half a pair, and files that cannot be used, stop the start in one line', async (t) => {
  const { cert, key } = certificateIn(t.testdir());
  const cases: [args: string[], message: RegExp][] = [
    [['serve', '--tls-cert', cert], /^tls\.cert is set and tls\.key is not: TLS takes both\n$/],
    [['serve', '--tls-key', key], /^tls\.key is set and tls\.cert is not: TLS takes both\n$/],
    [['serve', '--tls-cert', `${cert}x`, '--tls-key', key], /^tls\.cert: cannot read .*x: ENOENT[^\n]*\n$/],
    [['serve', '--tls-cert', cert, '--tls-key', cert], /^tls\.key: .* holds no private key in PEM\n$/],
    [['edge', '--hub', 'hub:1', '--insecure-link', '--tls-cert', cert], /^tls\.cert is set and tls\.key is not/],
  ];
  for (const [args, message] of cases) {
    for (const check of [['--check-config'], []]) {
      const run = spawnSync(process.execPath, [main, ...args, ...check], { encoding: 'utf8', timeout: 60_000 });
      t.equal(run.status, 1, args.join(' '));
      t.match(run.stderr.replace(/^roomwire: /, ''), message);
      t.equal(run.stdout, '');
    }
  }
});
