/**
 * An existing Node server that lends roomwire a path of its own: `roomwire serve --base-path /rt`, then
 * `node deploy/beside.mjs 8080 http://127.0.0.1:8420`, and open http://127.0.0.1:8080/rt/. Everything under /rt/ goes on
 * as it came, WebSockets too; all else is the server's own. Copy `proxy` into yours; roomwire needs
 * `--trusted-proxies 127.0.0.1` to believe the address it sends.
 */
import { createServer, request } from 'node:http';
import { connect } from 'node:net';

const [, , port = '8080', target = 'http://127.0.0.1:8420'] = process.argv;
const BASE = '/rt';
const upstream = new URL(target);

const isRoomwires = ({ url = '/' }) => url === BASE || url.startsWith(`${BASE}/`);

const server = createServer((incoming, response) => {
  if (isRoomwires(incoming)) return proxy(incoming, response);
  // Your own routes.
  response.setHeader('content-type', 'text/plain').end(`the server that was here before: ${incoming.url}\n`);
});

function proxy(incoming, response) {
  const { method, url: path, headers, socket } = incoming;
  const forwarded = { ...headers, 'x-forwarded-for': socket.remoteAddress };
  const options = { hostname: upstream.hostname, port: upstream.port, method, path, headers: forwarded };
  const outgoing = request(options, (answer) => {
    response.writeHead(answer.statusCode, answer.headers);
    answer.pipe(response);
  });
  outgoing.on('error', () => (response.headersSent ? response.destroy() : response.writeHead(502).end()));
  response.on('close', () => outgoing.destroy());
  incoming.pipe(outgoing);
}

server.on('upgrade', (incoming, client, head) => {
  client.on('error', () => client.destroy());
  if (!isRoomwires(incoming)) return client.destroy();
  const { url, headers, rawHeaders } = incoming;
  const remote = connect(Number(upstream.port), upstream.hostname, () => {
    const lines = [`GET ${url} HTTP/1.1`];
    for (let i = 0; i < rawHeaders.length; i += 2) {
      if (!/^x-forwarded-for$/i.test(rawHeaders[i])) lines.push(`${rawHeaders[i]}: ${rawHeaders[i + 1]}`);
    }
    if (headers.host === undefined) return client.destroy();
    remote.write(`${lines.join('\r\n')}\r\nx-forwarded-for: ${client.remoteAddress}\r\n\r\n`);
    remote.write(head);
    client.pipe(remote).pipe(client);
  });
  remote.on('error', () => client.destroy());
  for (const [one, other] of [
    [client, remote],
    [remote, client],
  ]) {
    one.on('close', () => other.destroy());
  }
});

server.listen(Number(port), '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}`));
