/** TLS by the engine itself: `wss` and `https` on one port, a certificate that is renewed, and what cannot be used refused at the start. */
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { connect as connectTls } from 'node:tls';
import t, { type Test } from 'tap';
import { http } from '../../src/http/http.js';
import { createServer } from '../../src/server/server.js';
import { engineOf } from '../../src/server/transport/choose.js';
import type { TlsFiles } from '../../src/server/transport/tls.js';
import { collectingLog, openContract } from '../support/server.js';
import { suiteTransport } from '../support/edge.js';
import { ca, certificateIn, get, shownAt } from '../support/tls.js';
import { WireClient } from '../support/wire-client.js';

const engines = engineOf('auto').name === 'uws' ? (['uws', 'ws'] as const) : (['ws'] as const);

async function start(t: Test, engine: 'uws' | 'ws', tls: TlsFiles) {
  const log = collectingLog();
  const server = createServer({
    ...{ contract: openContract, engine, tls, log },
    plugins: [http()] as const,
    limits: { historyBytes: 64 * 1024 * 1024 },
    ...suiteTransport({ engine }),
  });
  const { port, url } = await server.listen({ port: 0 });
  const clients: WireClient[] = [];
  t.teardown(async () => {
    for (const client of clients) client.cut();
    await server.close();
  });
  return {
    ...{ server, port, url, log },
    async client(): Promise<WireClient> {
      const client = new WireClient(`wss://127.0.0.1:${port}/`, undefined, {}, ca);
      clients.push(client);
      await client.hello({ instance: String(clients.length) });
      return client;
    },
  };
}

for (const engine of engines) {
  t.test(`${engine}: WebSockets and HTTP are served over TLS, and nothing without it`, async (t) => {
    const { server, port, url, client, log } = await start(t, engine, certificateIn(t.testdir()));
    t.equal(url, `https://127.0.0.1:${port}`);
    t.match(await get(`${url}/health`), { status: 200, body: /"ok"/ });
    t.equal((await get(`${url}/health/delivery`)).status, 200, 'the server reaches itself');
    const ann = await client();
    await ann.subscribe('news:1');
    t.equal((await server.publish('news:1', 'headline', { text: 'hi' })).matched, 1);
    t.same(await ann.event('news:1', 'headline'), { text: 'hi' });
    await t.rejects(fetch(`http://127.0.0.1:${port}/health`), 'plain HTTP');
    const plain = new WireClient(`ws://127.0.0.1:${port}/`);
    t.equal((await plain.closed).code, 1006, 'a plain WebSocket');
    t.same(log.errors, []);
  });

  t.test(`${engine}: a client that reads slowly gets all, in order`, async (t) => {
    const { server, client, log } = await start(t, engine, certificateIn(t.testdir()));
    const slow = await client();
    await slow.subscribe('news:1');
    slow.socket.pause();
    for (let n = 0; n < 60; n++) await server.publish('news:1', 'headline', { text: `${n} ${'x'.repeat(200_000)}` });
    slow.socket.resume();
    await slow.event('news:1', 'headline', 60);
    t.same(
      slow.events('news:1').map(([offset, , data]) => [offset, Number.parseInt((data as { text: string }).text)]),
      Array.from({ length: 60 }, (_, n) => [n + 1, n]),
    );
    t.same(log.errors, []);
  });

  t.test(
    `${engine}: a renewed certificate is shown to who comes from then on, and one that is broken to nobody`,
    async (t) => {
      const certificate = certificateIn(t.testdir());
      const { server, port, client, log } = await start(t, engine, certificate);
      t.equal(await shownAt(port), 'roomwire test first');
      const before = await client();
      await before.subscribe('news:1');
      certificate.put('second');
      t.equal(await shownAt(port), 'roomwire test first', 'nothing happens by itself');
      server.reloadTls();
      t.equal(await shownAt(port), 'roomwire test second');
      const after = await client();
      await after.subscribe('news:1');
      certificate.put('first', 'second');
      t.throws(() => server.reloadTls(), { name: 'TypeError', message: /key\.pem is not the key of the certificate/ });
      t.equal(await shownAt(port), 'roomwire test second', 'the one before stays');
      for (const name of ['first', 'second', 'first'] as const) {
        certificate.put(name);
        server.reloadTls();
        t.equal(await shownAt(port), `roomwire test ${name}`);
      }
      t.equal((await server.publish('news:1', 'headline', { text: 'still here' })).matched, 2);
      for (const one of [before, after]) t.same(await one.event('news:1', 'headline'), { text: 'still here' });
      t.same(log.errors, []);
    },
  );

  t.test(`${engine}: a stop ends connections in whatever state of their handshake they are`, async (t) => {
    const { server, port, client } = await start(t, engine, certificateIn(t.testdir()));
    const silent = connect(port, '127.0.0.1');
    const half = connect(port, '127.0.0.1');
    const idle = connectTls({ port, host: '127.0.0.1', ca });
    const ends = [silent, half, idle].map((socket) => {
      socket.on('error', () => undefined);
      return once(socket, 'close');
    });
    await Promise.all([once(silent, 'connect'), once(half, 'connect'), once(idle, 'secureConnect')]);
    // The head of a ClientHello that never goes on.
    half.write(Buffer.from('160301020001', 'hex'));
    const ann = await client();
    await server.close();
    await ann.closed;
    for (const socket of [silent, half, idle]) socket.end();
    await Promise.all(ends);
  });
}

t.test('an Upgrade that the portable engine does not know is a request over TLS, too', async (t) => {
  const { url } = await start(t, 'ws', certificateIn(t.testdir()));
  t.match(await get(`${url}/health/live`, { connection: 'Upgrade', upgrade: 'h2c' }), { status: 200 });
});

t.test('what cannot be used is refused before anything starts, and says which file it is', async (t) => {
  const folder = t.testdir();
  const certificate = certificateIn(folder);
  const { cert, key } = certificate;
  const write = (name: string, text: string): string => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  const locked = generateKeyPairSync('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem', cipher: 'aes-256-cbc', passphrase: 'secret' },
  }).privateKey;
  const other = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
  const cases: [tls: object, message: RegExp][] = [
    [{ cert: join(folder, 'none.pem'), key }, /tls\.cert: cannot read .*none\.pem: ENOENT/],
    [{ cert, key: folder }, /tls\.key: cannot read .*: EISDIR/],
    [{ cert: write('empty.pem', ''), key }, /tls\.cert: .*empty\.pem holds no certificate in PEM/],
    [{ cert: key, key }, /tls\.cert: .*key\.pem holds no certificate in PEM/],
    [{ cert, key: cert }, /tls\.key: .*cert\.pem holds no private key in PEM/],
    [{ cert, key: write('locked.pem', locked) }, /tls\.key: .*locked\.pem is protected by a passphrase/],
    [
      { cert, key: write('other.pem', other) },
      /tls\.key: .*other\.pem is not the key of the certificate in .*cert\.pem/,
    ],
    [{ cert }, /tls: takes cert and key, both/],
    [{ cert, key: 7 }, /tls: takes cert and key, both/],
  ];
  for (const [tls, message] of cases) {
    const refused = async (): Promise<void> => {
      const server = createServer({ contract: openContract, tls: tls as TlsFiles });
      t.teardown(() => server.close());
      t.throws(() => server.check(), { name: 'TypeError', message });
      await server.listen({ port: 0 });
    };
    await t.rejects(refused(), { name: 'TypeError', message });
  }
  const plain = createServer({ contract: openContract });
  t.teardown(() => plain.close());
  t.throws(() => plain.reloadTls(), { message: /the server has no tls/ });
});
