/** How `roomwire serve` ends: by signals, with stderr that nobody reads, and when its store goes away under it. */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, constants, mkdirSync, openSync, readSync, renameSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { decodeStore } from '../../src/store/lmdb-records.js';
import { openEngine } from '../../src/store/lmdb-engine.js';
import { startCli } from '../support/cli.js';
import { until } from '../support/until.js';

const main = join(new URL('../..', import.meta.url).pathname, 'dist/cli/main.js');

interface Served {
  readonly child: ChildProcess;
  readonly http: string;
  readonly errors: () => string;
  readonly ended: Promise<[number | null, string | null]>;
}

async function started(child: ChildProcess): Promise<Served> {
  let errors = '';
  child.stderr?.on('data', (data: Buffer) => (errors += data.toString()));
  const ended = once(child, 'exit') as Promise<[number | null, string | null]>;
  const [line] = (await Promise.race([
    once(child.stdout as NodeJS.ReadableStream, 'data'),
    ended.then(() => Promise.reject(new Error(`it ended: ${errors}`))),
  ])) as [Buffer];
  const http = /on (http:\/\/[^/]+)\//.exec(line.toString())?.[1] ?? '';
  return { child, http, errors: () => errors, ended };
}

/** As the next start would find it. */
async function isClean(path: string): Promise<boolean> {
  const root = openEngine({ path, noSync: true, mapSize: 2 ** 26 });
  const state = root.openDB({ name: 'state', encoding: 'binary', keyEncoding: 'binary' });
  const { clean } = decodeStore(state.getBinary(Buffer.from('store')) as Uint8Array);
  await root.close();
  return clean;
}

for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
  t.test(`${signal} is an orderly stop, marked clean`, async (t) => {
    const path = t.testdir();
    const served = await started(startCli(t, ['serve', '--port', '0', '--data', path]));
    t.equal(await isClean(path), false);
    served.child.kill(signal);
    t.same(await served.ended, [0, null]);
    t.equal(served.errors(), 'stopping\n');
    t.equal(await isClean(path), true);
  });
}

t.test('a stop comes to its end though stderr is a pipe that is full and that nobody reads', async (t) => {
  const path = t.testdir();
  const child = startCli(t, ['serve', '--port', '0', '--data', path, '--log-level', 'debug']);
  // Never read: 64 KiB fit.
  child.stderr?.pause();
  const ended = once(child, 'exit');
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  const http = /on (http:\/\/[^/]+)\//.exec(line.toString())?.[1] ?? '';
  const ask = async (): Promise<void> => {
    const response = await fetch(`${http}/api/rooms/${'x'.repeat(180)}`);
    await response.arrayBuffer();
  };
  for (let i = 0; i < 50; i++) await Promise.all(Array.from({ length: 10 }, ask));
  child.kill('SIGTERM');
  t.same(await ended, [0, null]);
  t.equal(await isClean(path), true);
});

t.test('a stop comes to its end though stderr and stdout are gone', async (t) => {
  const path = t.testdir();
  const served = await started(startCli(t, ['serve', '--port', '0', '--data', path, '--log-level', 'debug']));
  served.child.stderr?.destroy();
  served.child.stdout?.destroy();
  await fetch(`${served.http}/api/rooms/nothing`);
  served.child.kill('SIGTERM');
  t.same(await served.ended, [0, null]);
  t.equal(await isClean(path), true);
});

t.test('a stop comes to its end though Node itself warns on a stderr that is gone', async (t) => {
  const path = t.testdir({ 'warns.cjs': 'let n = 0; setInterval(() => process.emitWarning(`${++n}`), 5).unref();' });
  const data = join(path, 'data');
  const env = { ...process.env, NODE_OPTIONS: `--require ${join(path, 'warns.cjs')}` };
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--data', data], { env });
  t.teardown(() => child.kill('SIGKILL'));
  const served = await started(child);
  await until(() => served.errors().includes('Warning: 3'));
  child.stderr.destroy();
  // Many a warning later.
  for (let i = 0; i < 50; i++) await (await fetch(`${served.http}/health/live`)).arrayBuffer();
  child.kill('SIGTERM');
  t.same(await served.ended, [0, null]);
  t.equal(await isClean(data), true);
});

t.test(
  'a server whose stderr is a pipe full to the brim starts, serves and stops, and tells later how much it left out',
  { skip: process.platform === 'linux' ? false : 'such a pipe is opened for both ways on Linux only' },
  async (t) => {
    const path = t.testdir();
    const fifo = join(path, 'fifo');
    execFileSync('mkfifo', [fifo]);
    // Its own flags: the server's end is one that blocks.
    const theirs = openSync(fifo, 'r+');
    const ours = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK);
    t.teardown(() => closeSync(ours));
    const fill = Buffer.alloc(4_096, 'x');
    t.throws(
      () => {
        for (;;) writeSync(ours, fill);
      },
      { code: 'EAGAIN' },
    );
    const data = join(path, 'data');
    const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--data', data, '--log-level', 'debug'], {
      stdio: ['ignore', 'pipe', theirs],
    });
    closeSync(theirs);
    t.teardown(() => child.kill('SIGKILL'));
    const served = await started(child);
    const ask = async (): Promise<void> => void (await (await fetch(`${served.http}/api/rooms/nothing`)).arrayBuffer());
    for (let i = 0; i < 5; i++) await ask();
    let read = '';
    const drain = (): void => {
      const chunk = Buffer.alloc(65_536);
      try {
        for (;;) read += chunk.toString('latin1', 0, readSync(ours, chunk));
      } catch (error) {
        t.match(error, { code: 'EAGAIN' });
      }
    };
    drain();
    child.kill('SIGTERM');
    t.same(await served.ended, [0, null]);
    drain();
    t.match(read, /x\n?\{"leftOut":\d+,"msg":"lines that nobody read"\}\nstopping\n$/);
    t.equal(await isClean(data), true);
  },
);

t.test('a stop comes to its end though stderr was closed before the start', async (t) => {
  const path = t.testdir();
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [main, 'serve', '--port', '0', '--data', path, '--log-level', 'debug'], {
    stdio: ['ignore', 'pipe', full],
  });
  closeSync(full);
  t.teardown(() => child.kill('SIGKILL'));
  const served = await started(child);
  served.child.kill('SIGTERM');
  t.same(await served.ended, [0, null]);
  t.equal(await isClean(path), true);
});

const losses: Readonly<Record<string, (path: string) => void>> = {
  'the directory is removed': (path) => rmSync(path, { recursive: true }),
  'the directory is replaced': (path) => {
    renameSync(path, `${path}-before`);
    mkdirSync(path);
  },
  'the file is replaced': (path) => {
    renameSync(join(path, 'data.mdb'), join(path, 'before'));
    closeSync(openSync(join(path, 'data.mdb'), 'w'));
  },
  'the file is removed': (path) => rmSync(join(path, 'data.mdb')),
};
for (const [loss, lose] of Object.entries(losses)) {
  for (const durability of ['process', 'power']) {
    t.test(`${durability}: when ${loss} the server says so in one line and ends`, async (t) => {
      const path = join(t.testdir(), 'data');
      const served = await started(startCli(t, ['serve', '--port', '0', '--data', path, '--durability', durability]));
      lose(path);
      t.same(await served.ended, [1, null]);
      t.match(served.errors(), /\nroomwire: .*data\.mdb was (removed|replaced) while this server ran.*start it again/);
      t.notMatch(served.errors(), / at .*\.js:/);
    });
  }
}

t.test('a server whose store was taken over ends its process', async (t) => {
  const path = t.testdir();
  const served = await started(startCli(t, ['serve', '--port', '0', '--data', path]));
  // As a container with its own network would: past the directory's lock.
  const root = openEngine({ path, noSync: true, mapSize: 2 ** 26 });
  const state = root.openDB({ name: 'state', encoding: 'binary', keyEncoding: 'binary' });
  const key = Buffer.from('batch');
  root.transactionSync(() => {
    const batch = Buffer.from(state.getBinary(key) as Uint8Array);
    batch.write('another!', 0, 'latin1');
    state.put(key, batch);
  });
  await root.close();
  // It may end before it answers.
  await fetch(`${served.http}/api/rooms/r`, { method: 'POST' }).catch(() => undefined);
  t.same(await served.ended, [1, null]);
  t.match(served.errors(), /roomwire: another server has opened this store since/);
});

t.test(
  'an address space that is too small for the map is told in one line, not by SIGSEGV',
  { skip: process.platform === 'linux' ? false : 'RLIMIT_AS is told by Linux only' },
  async (t) => {
    const path = t.testdir();
    const child = spawn(
      'bash',
      ['-c', `ulimit -v 8000000; exec "${process.execPath}" "${main}" serve --port 0 --data "${path}"`],
      { stdio: ['ignore', 'pipe', 'pipe'] },
    );
    t.teardown(() => child.kill('SIGKILL'));
    let errors = '';
    child.stderr.on('data', (data: Buffer) => (errors += data.toString()));
    t.same(await once(child, 'close'), [1, null]);
    t.match(errors, /^roomwire: .*data\.mdb cannot be mapped: it takes 8\.\d GiB of address space.*ulimit -v.*\n$/);
  },
);
