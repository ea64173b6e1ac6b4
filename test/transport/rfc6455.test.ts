/** Framing as RFC 6455 asks for it, from raw bytes, on both engines: the breaker goes, the others stay. */
import t, { type Test } from 'tap';
import { breachesOf } from './breaches.js';
import { closePayload, frame, opcodes, RawClient } from './raw-client.js';
import { type Engine, engines, type Started, start } from './start.js';

for (const engine of engines) t.test(engine.name, async (t) => suite(t, engine));

function suite(t: Test, engine: Engine): void {
  t.test('fragments are put together, with a ping answered in between', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    client.send(opcodes.binary, 'one ', { fin: false });
    client.send(opcodes.continuation, 'two ', { fin: false });
    client.send(opcodes.ping, 'are you there');
    const pong = await client.next();
    t.equal(pong?.opcode, opcodes.pong);
    t.equal(pong?.payload.toString(), 'are you there');
    client.send(opcodes.continuation, '', { fin: false });
    client.send(opcodes.continuation, 'three');
    const echo = await client.next();
    t.match(echo, { fin: true, rsv: 0, opcode: opcodes.binary });
    t.equal(echo?.payload.toString(), 'one two three');
    t.equal((await server.peer()).messages.length, 1);
    client.destroy();
  });

  t.test('frames that come byte by byte are read alike', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    const bytes = Buffer.concat([frame(opcodes.binary, Buffer.alloc(300, 'a')), frame(opcodes.ping, 'p')]);
    client.socket.setNoDelay();
    for (const byte of bytes) {
      await new Promise<void>((resolve) => client.socket.write(Buffer.from([byte]), () => resolve()));
    }
    t.equal((await client.next())?.payload.length, 300);
    t.match(await client.next(), { opcode: opcodes.pong });
    client.destroy();
  });

  t.test('a text split within a character is whole again', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    const euro = Buffer.from('€');
    client.send(opcodes.text, euro.subarray(0, 1), { fin: false });
    client.send(opcodes.continuation, euro.subarray(1));
    await client.next();
    t.match((await server.peer()).messages, [{ binary: false }]);
    t.equal(server.peers[0]?.messages[0]?.bytes.toString(), '€');
    client.destroy();
  });

  t.test('a pong that nobody asked for is taken quietly', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    client.send(opcodes.pong, 'unasked');
    client.send(opcodes.binary, 'on');
    t.equal((await client.next())?.payload.toString(), 'on');
    client.destroy();
  });

  t.test('a close frame is answered with its code', async (t) => {
    const server = await start(t, engine);
    // uWebSockets.js takes 3000–3999 for invalid and answers them without a code.
    for (const code of [1000, 1001, 1003, 1007, 1011, 4000, 4999, ...(engine.name === 'ws' ? [3000] : [])]) {
      const client = await RawClient.open(server.port);
      client.send(opcodes.close, closePayload(code, 'why'));
      const answer = await client.next();
      t.match(answer, { opcode: opcodes.close });
      t.equal(answer?.payload.readUInt16BE(), code);
      t.equal(await client.next(), undefined, 'and the connection ends');
    }
    await server.until(() => server.peers.every(({ closes }) => closes.length === 1));
    t.match(
      server.peers.map(({ closes }) => closes[0]),
      [{ code: 1000, reason: 'why' }, { code: 1001 }],
    );
  });

  t.test('data after a close frame is not heard', async (t) => {
    const server = await start(t, engine);
    const client = await RawClient.open(server.port);
    client.write(Buffer.concat([frame(opcodes.close, closePayload(1000)), frame(opcodes.binary, 'late')]));
    await client.gone;
    const peer = await server.peer();
    await server.until(() => peer.closes.length === 1);
    t.same(peer.messages, []);
  });

  t.test('a breach of the framing ends the connection that made it, and no other', async (t) => {
    const server = await start(t, engine);
    const bystander = await RawClient.open(server.port);
    await server.peer();
    for (const [index, [title, bytes]] of breachesOf(engine.name, 64 * 1024).entries()) {
      await t.test(title, (t) => breach(t, server, { bystander, bytes, index: index + 1 }));
    }
    t.same(server.failures, []);
    bystander.destroy();
  });
}

async function breach(
  t: Test,
  server: Started,
  { bystander, bytes, index }: { bystander: RawClient; bytes: Buffer; index: number },
): Promise<void> {
  const client = await RawClient.open(server.port);
  const peer = await server.peer(index);
  client.write(bytes);
  const answer = await client.next();
  // Either engine may say why in a close frame first, or just cut.
  if (answer !== undefined) t.equal(answer.opcode, opcodes.close);
  client.socket.end();
  await client.gone;
  await server.until(() => peer.closes.length > 0);
  t.equal(peer.closes.length, 1);
  t.same(peer.messages, [], 'nothing of it is heard');
  bystander.send(opcodes.binary, 'still here');
  t.equal((await bystander.next())?.payload.toString(), 'still here');
}
