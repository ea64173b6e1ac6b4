/** The server that clients are checked against outlives what they do to it. */
import { once } from 'node:events';
import { connect } from 'node:net';
import t from 'tap';
import { Changes } from '../../src/conform/changes.js';
import { ScriptedServer } from '../../src/conform/scripted-server.js';

t.test('a client that resets the connection of a refused upgrade ended the kit', async (t) => {
  const server = new ScriptedServer(new Changes(5_000));
  t.teardown(() => server.end());
  const { port } = new URL(await server.listen());
  server.refusing = true;
  for (let i = 1; i <= 20; i++) {
    const socket = connect(Number(port), '127.0.0.1');
    socket.on('error', () => undefined);
    socket.write(
      'GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n' +
        'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n',
    );
    const [answer] = (await once(socket, 'data')) as [Buffer];
    t.match(answer.toString(), /^HTTP\/1\.1 503 /);
    socket.resetAndDestroy();
    await once(socket, 'close');
    t.equal(server.refused, i);
  }
});
