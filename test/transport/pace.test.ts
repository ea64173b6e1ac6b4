/** Large bodies come at a pace: nothing of them is lost by it, nor is the connection on which they come. */
import { once } from 'node:events';
import { request } from 'node:https';
import t, { type Test } from 'tap';
import { Pace } from '../../src/server/transport/pace.js';
import { ca, certificateIn } from '../support/tls.js';
import { RawClient } from './raw-client.js';
import { type Behaviour, type Engine, engines, start } from './start.js';

const MIB = 1024 * 1024;

t.test('so many bytes a millisecond at most, in the order in which they wait', async (t) => {
  const pace = new Pace();
  const [count, part, bytesPerMs] = [20, 64 * 1024, 32 * 1024];
  const order: number[] = [];
  const began = performance.now();
  await new Promise<void>((resolve) => {
    for (let i = 1; i <= count; i++) {
      pace.wait(() => {
        order.push(i);
        if (order.length === count) resolve();
        return part;
      });
    }
  });
  const ms = performance.now() - began;
  const least = (count * part) / bytesPerMs - 5;
  t.ok(ms > least, `${ms} ms, at least ${least}`);
  t.strictSame(
    order,
    Array.from({ length: count }, (_, i) => i + 1),
  );
});

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  const serve = async (t: Test, bodyBytes: number, behaviour: Behaviour = {}) => {
    const got: { readonly body: Buffer; readonly tooLarge: boolean }[] = [];
    const server = await start(t, engine, {
      ...{ bodyBytes, ...behaviour },
      answer({ body, bodyTooLarge: tooLarge }) {
        got.push({ body: Buffer.from(body), tooLarge });
        return { status: 200, headers: {}, body: '' };
      },
    });
    return { ...server, got };
  };
  const post = (head: string): string => `POST / HTTP/1.1\r\nhost: x\r\n${head}\r\n\r\n`;
  const sent = Buffer.alloc(3 * MIB, 'a body that comes in parts ');
  const announced = post(`content-length: ${sent.length}`);
  /** Many in each read: the engine reports all of them, also while it is told to wait. */
  const chunked = (size: number): Buffer => {
    const parts: Buffer[] = [Buffer.from(post('transfer-encoding: chunked'))];
    for (let at = 0; at < sent.length; at += size) {
      const part = sent.subarray(at, at + size);
      parts.push(Buffer.from(`${part.length.toString(16)}\r\n`), part, Buffer.from('\r\n'));
    }
    return Buffer.concat([...parts, Buffer.from('0\r\n\r\n')]);
  };

  t.test('one after the other on a connection, announced and in chunks, all come whole', async (t) => {
    const { port, got, failures } = await serve(t, 4 * MIB);
    const client = await RawClient.tcp(port);
    for (const bytes of [Buffer.concat([Buffer.from(announced), sent]), chunked(700), chunked(200_000)]) {
      client.write(bytes);
      t.match(await client.readHead(), /^HTTP\/1.1 200 /);
      const { body, tooLarge } = got.pop()!;
      t.strictSame([body.equals(sent), tooLarge], [true, false]);
    }
    client.destroy();
    t.same(failures, []);
  });

  t.test('so it does over TLS', async (t) => {
    const { port, got, failures } = await serve(t, 4 * MIB, { tls: certificateIn(t.testdir()) });
    const asking = request({ port, ca, method: 'POST', headers: { 'content-length': sent.length } });
    asking.end(sent);
    await once(asking, 'response');
    t.ok(got[0]?.body.equals(sent));
    asking.destroy();
    t.same(failures, []);
  });

  t.test('one that turns out too large while it waits is answered, and the next on its connection, too', async (t) => {
    const { port, got, failures } = await serve(t, 2 * MIB);
    const client = await RawClient.tcp(port);
    for (const size of [700, 200_000]) {
      client.write(chunked(size));
      t.match(await client.readHead(), /^HTTP\/1.1 200 /);
      t.strictSame([got.at(-1)?.body.length, got.at(-1)?.tooLarge], [0, true]);
      client.write(`${post('content-length: 2')}ok`);
      t.match(await client.readHead(), /^HTTP\/1.1 200 /);
      t.equal(got.at(-1)?.body.toString(), 'ok');
    }
    client.destroy();
    t.same(failures, []);
  });

  t.test('a peer that leaves while it waits does no harm', async (t) => {
    const { port, got, failures } = await serve(t, 4 * MIB);
    const leaves = await RawClient.tcp(port);
    leaves.write(announced);
    leaves.write(sent.subarray(0, 2 * MIB));
    leaves.destroy();
    await leaves.gone;
    const client = await RawClient.tcp(port);
    client.write(`${post('content-length: 2')}ok`);
    t.match(await client.readHead(), /^HTTP\/1.1 200 /);
    client.destroy();
    t.same(failures, []);
    t.equal(got.length, 1);
  });
}
