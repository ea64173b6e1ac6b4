/** A check of a client: the driver that has it do things, and the server that does as the scene says. */
import type { Fault } from '../protocol/faults.js';
import { Op } from '../protocol/frames.js';
import { Changes } from './changes.js';
import { Driver, type Line } from './driver.js';
import type { Peer } from './peer.js';
import { ScriptedServer, type Asked } from './scripted-server.js';
import { hexOf, Mismatch } from './wire.js';

export interface Met {
  readonly peer: Peer;
  readonly hello: Line;
}

export class Script {
  readonly server: ScriptedServer;
  readonly #driver: Driver;
  readonly #changes: Changes;
  #met = 0;
  #secrets = 0;

  /** `timeoutMs`: for anything that the client is to do. */
  constructor(driver: readonly string[], timeoutMs: number) {
    this.#changes = new Changes(timeoutMs);
    this.server = new ScriptedServer(this.#changes);
    this.#driver = new Driver(driver, this.#changes);
  }

  /** The last message of the client. */
  get last(): string | undefined {
    return hexOf(this.server.peers.at(-1)?.last);
  }

  end(): void {
    this.#driver.end();
    this.server.end();
  }

  ask(command: string, parts?: Line): () => Promise<Line> {
    return this.#driver.ask(command, parts);
  }

  done(command: string, parts?: Line, leastMs?: number): Promise<unknown> {
    return this.#driver.done(command, parts, leastMs);
  }

  saw(what: string, parts?: Line): Promise<Line> {
    return this.#driver.saw(what, parts);
  }

  count(what: string, parts?: Line): number {
    return this.#driver.count(what, parts);
  }

  fault(step: Fault): Promise<void> {
    return this.server.fault(step);
  }

  until(condition: () => boolean, late: () => string, leastMs?: number): Promise<void> {
    return this.#changes.until(condition, late, leastMs);
  }

  /** The next HTTP request. */
  async request(path: string): Promise<Asked> {
    const { requests } = this.server;
    await this.until(
      () => requests.length > 0,
      () => `no request for ${path}`,
    );
    const asked = requests.shift() as Asked;
    if (!asked.path.startsWith(path)) throw new Mismatch(`${asked.path} was requested, not ${path}`);
    return asked;
  }

  /** The next connection, and its HELLO. */
  async hello(leastMs?: number): Promise<Met> {
    const at = this.#met++;
    const { peers } = this.server;
    await this.until(
      () => peers.length > at,
      () => 'the client does not connect',
      leastMs,
    );
    const peer = peers[at] as Peer;
    await this.until(
      () => peer.frames.length > 0,
      () => 'no HELLO',
    );
    if (peer.messages[0] !== 1) throw new Mismatch('RW-HEL-1: HELLO is not alone in its message');
    const [op, id, hello] = peer.frames.shift() as [number, number, Line];
    if (op !== Op.HELLO) throw new Mismatch(`RW-HEL-1: the first frame is ${op}`);
    peer.helloId = id;
    if (typeof hello['instance'] !== 'string') throw new Mismatch('RW-HEL-1: HELLO has no instance');
    return { peer, hello };
  }

  /** The next connection, let in. `topics` and the rest are WELCOME's. */
  async welcome(parts?: Line, leastMs?: number): Promise<Met & { readonly secret: string }> {
    const met = await this.hello(leastMs);
    return { ...met, secret: this.greet(met.peer, parts) };
  }

  /** Lets a connection in; returns the session's new secret. */
  greet(peer: Peer, parts: Line = {}): string {
    const secret = `secret-${++this.#secrets}`;
    peer.send([
      Op.WELCOME,
      peer.helloId,
      {
        session: ['sid-1', secret],
        resumed: false,
        user: { id: 'u1', name: 'Ann' },
        expiresAt: null,
        node: 'conform',
        time: Date.now(),
        limits: { messageBytes: 1_048_576, helloBytes: 16_384, pendingCalls: 256 },
        pingEvery: 25_000,
        features: [],
        topics: {},
        ...parts,
      },
    ]);
    return secret;
  }
}
