/**
 * What the steps of a session cost, each alone; n clients, a hundred requests under way. "upgrade":
 * the WebSocket itself (latency from the first one's start). "HELLO": a new session, its WELCOME.
 * "subscribe 3 topics": in one message, topics of a hundred. "resume, 3 topics": HELLO of a session
 * that was cut, in these topics, with nothing missed. "create and join", then "join": half the
 * clients each make a room, into which one of the others comes. Figures are of one client's step. To warm up, a quarter as
 * many go through all of it before, again and again, and end their sessions.
 */
import type { Position, SessionTicket, TopicStatus, Welcome } from '../../src/protocol/frames.js';
import { among, compete, fits, type Suite, type Turn } from '../contest.js';
import { loadCodec, loadFrames } from '../dist.js';
import { askEach } from '../load/ask.js';
import { Generator, storm } from '../load/generator.js';
import { join } from '../load/requests.js';
import { clientMessage } from '../load/websocket.js';
import { openWire, roomwireGreeting, type Greeting, type Wire } from '../load/wires.js';
import { topicName } from '../peers/names.js';
import type { Row, Step } from '../result.js';

const TOPICS = 3;
const SUBSCRIBERS = 100;
/** Ms that sessions wait for their clients. */
const GRACE = 120_000;

export async function sessions(suite: Suite): Promise<Row[]> {
  // Two to a room.
  const n = Math.max(2, suite.clients & ~1);
  const warming = Math.max(2, (n >> 2) & ~1);
  if (!fits(suite, 'sessions', n)) return [];
  return compete(suite, {
    work: 'sessions',
    contestants: among(suite, ['roomwire']),
    bytes: 0,
    label: `sessions n=${n}`,
    seconds: 2 + n / 1000 + suite.warmSeconds,
    async turn({ server, load, warmUp, timeOnce, sample }) {
      // Each life has rooms of its own, which it is to make.
      let room = 0;
      await warmUp(async () => {
        const others = new Generator(server);
        try {
          await life({ server, load: others }, { n: warming, room }, async (_step, run) => void (await run()));
          room += warming / 2;
          for (const client of others.subscribers) client.send(bye);
          await server.rest();
        } finally {
          others.close();
        }
      });
      await life({ server, load }, { n, room }, async (step, run) => {
        await server.rest();
        sample({ work: 'sessions', n, w: 1, bytes: 0, variant: step }, await timeOnce(run));
      });
    },
  });
}

type Measure = (step: Step, run: () => ReturnType<typeof storm>) => Promise<void>;

interface Crowd {
  readonly n: number;
  /** The first of its rooms. */
  readonly room: number;
}

async function life(
  { server, load }: Pick<Turn, 'server' | 'load'>,
  { n, room }: Crowd,
  measure: Measure,
): Promise<void> {
  const greeting = await roomwireGreeting([]);
  const clients = Array.from({ length: n }, (_, index) => new Client(index, greeting));
  const all = clients.map((_, index) => index);
  const upgrade = () => storm((done) => load.connect(n, (index) => (clients[index] as Client).wire, { ready: done }));
  const each = (request: (client: Client) => Buffer, some = all) =>
    askEach(load, some, (index) => request(clients[index] as Client));

  await measure('upgrade', upgrade);
  await measure('HELLO', () => each((client) => client.hello()));
  await measure(`subscribe ${TOPICS} topics`, () => each((client) => client.subscribe()));
  load.close();
  await server.rest();
  await upgrade();
  await measure(`resume, ${TOPICS} topics`, () => each((client) => client.hello()));
  const half = n / 2;
  await measure('create and join', () => each((client) => client.join(room, half), all.slice(0, half)));
  await measure('join', () => each((client) => client.join(room, half), all.slice(half)));
}

const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();
const bye = clientMessage(encode([Op.BYE]));

class Client {
  readonly wire: Wire;
  readonly #index: number;
  readonly #topics: readonly string[];
  readonly #positions: Record<string, Position> = {};
  #session: SessionTicket | undefined;
  /** Answers still to come. */
  #awaited = 0;
  #subscribing = 0;

  constructor(index: number, greeting: Greeting) {
    this.#index = index;
    const first = Math.floor(index / SUBSCRIBERS) * TOPICS;
    this.#topics = Array.from({ length: TOPICS }, (_, i) => topicName(first + i));
    this.wire = openWire({ ...greeting, hello: () => [] }, (payload) => this.#take(payload));
  }

  /** With its session and positions, where it has them. */
  hello(): Buffer {
    const returning = this.#session === undefined ? {} : { session: this.#session, resume: this.#positions };
    return this.#ask([[Op.HELLO, 1, { instance: `bench-${this.#index}`, grace: GRACE, ...returning }]]);
  }

  subscribe(): Buffer {
    this.#subscribing = TOPICS;
    return this.#ask(this.#topics.map((topic, i) => [Op.SUBSCRIBE, i + 1, topic, null]));
  }

  join(first: number, rooms: number): Buffer {
    return this.#ask([join(first + (this.#index % rooms))(1)]);
  }

  #ask(frames: readonly unknown[]): Buffer {
    this.#awaited = frames.length;
    return clientMessage(Buffer.concat(frames.map((frame) => encode(frame))));
  }

  /** 1 when a message ends what was asked for. */
  #take(payload: Buffer): number {
    let ended = 0;
    for (const [opcode, id, data, ...rest] of decodeAll(payload)) {
      // A join subscribes the room, and others come into it.
      if (opcode === Op.SUBSCRIBED || opcode === Op.EVENTS) continue;
      if (opcode === Op.WELCOME) this.#welcomed(data as unknown as Welcome);
      else if (opcode !== Op.ACK)
        throw new Error(`the server answered with ${JSON.stringify([opcode, id, data, ...rest])}`);
      else if (this.#subscribing > 0)
        this.#subscribed(this.#topics[(id as number) - 1] as string, data as unknown as TopicStatus);
      if (--this.#awaited === 0) ended = 1;
    }
    return ended;
  }

  #subscribed(topic: string, { epoch, offset }: TopicStatus): void {
    this.#subscribing--;
    this.#positions[topic] = [epoch, offset];
  }

  #welcomed({ session, resumed, topics }: Welcome): void {
    if (this.#session !== undefined) {
      const back = this.#topics.filter((topic) => topics[topic]?.recovered === true).length;
      if (!resumed || back !== TOPICS) throw new Error(`a client is back in ${back} of ${TOPICS} topics`);
    }
    this.#session = session;
  }
}
