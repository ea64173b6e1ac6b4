/** A message to one who has just vanished, one to a misspelt room, and why they did not arrive. */
import { connect } from '../../dist/client/node.js';
import { WebSocket } from 'ws';
import { KEY, token } from './example.mjs';
import { terminal } from './terminal.mjs';

const { fetch, setTimeout } = globalThis;

const ID = '83ddbd78';

export async function tms({ url, browser, file }) {
  const asBackend = { authorization: `Bearer ${KEY}`, 'content-type': 'application/json' };
  const participants = JSON.stringify({ participants: ['ann', 'bob', 'cara'] });
  await fetch(`${url}/conversations/${ID}`, { method: 'PUT', headers: asBackend, body: participants });
  const sockets = [];
  class Cut extends WebSocket {
    constructor(...rest) {
      super(...rest);
      sockets.push(this);
    }
  }
  const join = async (name) => {
    const options = { token: token({ sub: name }), WebSocket: Cut, backoff: { baseMs: 600_000, maxMs: 600_000 } };
    const client = connect(url.replace('http', 'ws'), options);
    await client.call('join_conversation', { conversation_id: ID });
    return client;
  };
  const [ann, bob] = [await join('ann'), await join('bob')];
  sockets[1].terminate();
  await new Promise((resolve) => setTimeout(resolve, 300));

  const env = { ROOMWIRE_URL: url, ROOMWIRE_TOKEN: KEY, API_KEY: KEY };
  const cli = 'node dist/cli/main.js';
  const broadcast = (room) => ({
    typed: `python3 broadcast.py conversation:${room} 'Your container is at the gate'`,
    run: `python3 examples/tms-chat/broadcast.py conversation:${room} 'Your container is at the gate'`,
  });
  const roomwire = (command) => ({ typed: `roomwire ${command}`, run: `${cli} ${command}` });
  await terminal(
    browser,
    file,
    [
      broadcast(ID),
      roomwire(`why conversation:${ID} 1 bob`),
      roomwire(`why conversation:${ID} 1 cara`),
      broadcast('83ddbd87'),
      roomwire(`topic conversation:${ID}`),
    ],
    env,
  );
  ann.close();
  bob.close();
}
