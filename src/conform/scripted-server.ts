/**
 * Where the client under test connects: it lets upgrades in or refuses them, hands over HTTP requests, and goes wrong by
 * the script language of faults (protocol/faults.ts), for the one client that there is.
 */
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { WebSocketServer } from 'ws';
import { Op, SUBPROTOCOL, type Position } from '../protocol/frames.js';
import type { Fault } from '../protocol/faults.js';
import type { Changes } from './changes.js';
import { Peer } from './peer.js';

/** For the client to answer a close. */
const RESTART_MS = 500;

/** An HTTP request that waits for its answer. */
export interface Asked {
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingHttpHeaders;
  answer(body: unknown): void;
}

export class ScriptedServer {
  /** Connections, in the order in which they were opened. */
  readonly peers: Peer[] = [];
  readonly requests: Asked[] = [];
  /** Statuses that the next upgrades are refused with. */
  readonly refusals: number[] = [];
  /** All upgrades are refused with 503. */
  refusing = false;
  /** How many upgrades were refused. */
  refused = 0;
  readonly #positions = new Map<unknown, Position>();
  readonly #changes: Changes;
  readonly #upgrades = new WebSocketServer({
    noServer: true,
    handleProtocols: (offered) => offered.has(SUBPROTOCOL) && SUBPROTOCOL,
  });
  readonly #http = createServer((request, response) => {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://localhost');
    this.requests.push({
      path: pathname,
      query: searchParams,
      headers: request.headers,
      answer: (body) => void response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body)),
    });
    this.#changes.tell();
  });
  #stalled = false;

  constructor(changes: Changes) {
    this.#changes = changes;
    this.#http.on('upgrade', (request, socket, head) => {
      // Node leaves it alone from here on: one that is reset while it is refused would end the kit.
      socket.on('error', () => undefined);
      const status = this.refusing ? 503 : this.refusals.shift();
      if (status === undefined) {
        this.#upgrades.handleUpgrade(request, socket, head, (opened) => {
          const peer = new Peer(opened, changes, this.#positions);
          if (this.#stalled) peer.stall();
          this.peers.push(peer);
          changes.tell();
        });
        return;
      }
      this.refused++;
      socket.end(`HTTP/1.1 ${status} Refused\r\nRetry-After: 0\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
      changes.tell();
    });
  }

  async listen(port = 0): Promise<string> {
    this.#http.listen(port, '127.0.0.1');
    await once(this.#http, 'listening');
    return `ws://127.0.0.1:${(this.#http.address() as AddressInfo).port}`;
  }

  end(): void {
    this.#cut();
    this.#http.closeAllConnections();
    this.#http.close();
  }

  /** Where a topic is, as the client was told. */
  position(topic: string): Position {
    return this.#positions.get(topic) ?? ['e', 0];
  }

  /** One step. `reset` loses forty events; `restart` is a drain, a time without a server, and none of its positions. */
  async fault(step: Fault): Promise<void> {
    const open = this.peers.filter(({ closed }) => closed === undefined);
    switch (step.do) {
      case 'cut':
        return this.#cut();
      case 'stall':
        this.#stalled = true;
        for (const peer of open) peer.stall();
        break;
      case 'resume':
        this.#stalled = false;
        for (const peer of open) peer.resume();
        break;
      case 'reset': {
        const [epoch, offset] = this.position(step.topic);
        open.at(-1)?.send([Op.RESET, step.topic, epoch, offset + 40, 'overrun']);
        break;
      }
      case 'kick':
        for (const peer of open) peer.goaway(4007);
        break;
      case 'restart': {
        const { port } = this.#http.address() as AddressInfo;
        for (const peer of open) peer.goaway(4202, 1);
        const closed = once(this.#http.close(), 'close');
        // Whoever does not answer the close is not waited for.
        const late = setTimeout(() => this.#cut(), RESTART_MS);
        for (const peer of open) await peer.gone();
        clearTimeout(late);
        this.#http.closeAllConnections();
        await closed;
        this.#positions.clear();
        await this.listen(port);
        break;
      }
      case 'advance':
        throw new TypeError('the scripted server has no clock');
    }
  }

  #cut(): void {
    for (const { socket } of this.peers) socket.terminate();
  }
}
