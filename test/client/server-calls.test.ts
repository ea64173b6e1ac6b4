/** The server calls the client. */
import t from 'tap';
import { RoomwireError } from '../../src/client/index.js';
import { Op } from '../../src/protocol/frames.js';
import { client, fakeServer, live } from './fake-server.js';

t.test('a handler answers, its error becomes a NACK, and an unknown name says so', async (t) => {
  const server = await fakeServer(t);
  const errors: unknown[] = [];
  const roomwire = client(t, server, { onError: (error) => errors.push(error) });
  const peer = await server.peer();
  await live(roomwire);
  roomwire.handle('double', async (n) => (n as number) * 2);
  roomwire.handle('refuse', () => {
    throw new RoomwireError('forbidden', 'not here', { details: { why: 'x' } });
  });
  roomwire.handle('break', () => {
    throw new Error('secret');
  });
  const removed = roomwire.handle('gone', () => 1);
  removed();
  peer.send(
    [Op.CALL, 1, 'double', 21],
    [Op.CALL, 2, 'refuse', null],
    [Op.CALL, 3, 'break', null],
    [Op.CALL, 4, 'gone', null],
  );
  const answer = (id: number) => peer.take(([op, of]) => (op === Op.ACK || op === Op.NACK) && of === id);
  t.same(await answer(1), [Op.ACK, 1, 42]);
  t.same(await answer(2), [Op.NACK, 2, 106, 'not here', { why: 'x' }]);
  t.match(await answer(3), [Op.NACK, 3, 130]);
  t.match(await answer(4), [Op.NACK, 4, 102]);
  t.match(errors, [{ message: 'secret' }]);
});

t.test('CANCEL and a disconnect abort the handler, and no answer goes to a later connection', async (t) => {
  const server = await fakeServer(t);
  const roomwire = client(t, server);
  const peer = await server.peer();
  await live(roomwire);
  const signals: AbortSignal[] = [];
  let finish: (() => void) | undefined;
  roomwire.handle('slow', async (_input, { signal }) => {
    signals.push(signal);
    await new Promise<void>((resolve) => (finish = resolve));
  });
  peer.send([Op.CALL, 1, 'slow', null], [Op.CANCEL, 1], [Op.CALL, 2, 'slow', null], [Op.PING, 0]);
  await peer.take(Op.PONG);
  t.equal(signals[0]?.aborted, true);
  t.equal(signals[1]?.aborted, false);
  peer.cut();
  const second = await server.peer(1);
  await live(roomwire);
  t.equal(signals[1]?.aborted, true);
  finish?.();
  second.send([Op.PING, 0]);
  await second.take(Op.PONG);
  t.notOk(second.frames.some(([op]) => op === Op.ACK));
});
