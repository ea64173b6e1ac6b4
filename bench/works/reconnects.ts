/**
 * A reconnect storm: n subscribed clients are cut at once, ten events are published while they are
 * away, then all come back at once with their sessions. Rate and CPU are of recoveries (the session
 * resumed, exactly those ten events); latency is from the storm's start to a client's last missed
 * event. calls…: what a bystander's calls took meanwhile. refused: no resume; resets: events lost. To warm up, a quarter of
 * them is cut and comes back before, and then the next.
 */
import type { Position, SessionTicket, Welcome } from '../../src/protocol/frames.js';
import { among, compete, fits, type Suite, type Turn } from '../contest.js';
import { loadCodec, loadFrames } from '../dist.js';
import { Bystander } from '../load/bystander.js';
import { storm, type Windows } from '../load/generator.js';
import { clientMessage } from '../load/websocket.js';
import { openWire, roomwireGreeting, type Greeting, type Step, type Wire } from '../load/wires.js';
import { topicName } from '../peers/names.js';
import type { Row } from '../result.js';

const MISSED = 10;
/** Ms that sessions wait for their clients. */
const GRACE = 120_000;

export async function reconnects(suite: Suite): Promise<Row[]> {
  const n = suite.clients;
  const bytes = suite.bytes[0] as number;
  if (!fits(suite, 'reconnects', n + 1)) return [];
  return compete(suite, {
    work: 'reconnects',
    contestants: among(suite, ['roomwire']),
    bytes,
    label: `reconnects n=${n}`,
    seconds: 2 + n / 1000 + suite.warmSeconds,
    async turn({ server, load, warmUp, timeOnce, sample }) {
      const counts: Counts = { recovered: 0, refused: 0, resets: 0 };
      const greeting = await roomwireGreeting([]);
      let clients = Array.from({ length: n }, (_, i) => new Returning(i, greeting, counts));
      await load.connect(n, (i) => (clients[i] as Returning).wire);
      await warmUp(async () => {
        const some = clients.slice(0, Math.ceil(n / 4));
        await comeBack({ server, load }, some, (run) => run());
        // As the generator has them: those who came back last are its last.
        clients = [...clients.slice(some.length), ...some];
      });
      Object.assign(counts, { recovered: 0, refused: 0, resets: 0 });
      const bystander = await Bystander.start(server.port, {});
      try {
        const [timed, seen] = await comeBack({ server, load }, clients, async (run) => {
          bystander.begin();
          return [await timeOnce(run), await bystander.end()] as const;
        });
        const more = {
          ...counts,
          callsP50Ms: seen.p50Ms,
          callsP99Ms: seen.p99Ms,
          callsLongestMs: seen.longestMs,
        };
        sample({ work: 'reconnects', n, w: MISSED, bytes }, { ...timed, more });
      } finally {
        await bystander.close();
      }
    },
  });
}

/** Cuts those clients, which are the generator's first, publishes, and lets them return in a storm. */
async function comeBack<T>(
  { server, load }: Pick<Turn, 'server' | 'load'>,
  clients: readonly Returning[],
  measure: (run: () => Promise<Windows>) => Promise<T>,
): Promise<T> {
  load.close(clients.length);
  await server.rest();
  server.send({ publish: MISSED });
  await server.rest();
  const measured = await measure(() =>
    storm(async (recovered) => {
      const all = Promise.all(clients.map((client) => client.return(recovered)));
      await load.connect(clients.length, (i) => (clients[i] as Returning).wire, { storm: true });
      await load.watch.within(all, () => 'recovering');
    }),
  );
  // The stream goes on, with nothing twice: the next event is the next one for everybody.
  await load.run([{ order: { publish: 1 }, deliveries: load.subscribers.length }], 0);
  return measured;
}

const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();
const topic = topicName(0);

interface Counts {
  recovered: number;
  refused: number;
  resets: number;
}

class Returning {
  readonly wire: Wire;
  readonly #instance: string;
  readonly #counts: Counts;
  #session: SessionTicket | undefined;
  #position: Position = ['', 0];
  /** Events to come until it is where the others are. */
  #missing = 0;
  #recovered: () => void = () => undefined;
  #over: () => void = () => undefined;

  constructor(index: number, greeting: Greeting, counts: Counts) {
    this.#instance = `bench-${index}`;
    this.#counts = counts;
    this.wire = openWire({ ...greeting, hello: () => this.#hello() }, (payload) => this.#take(decodeAll(payload)));
  }

  /** Resolves when it got what it missed, or cannot; calls `recovered` in the first case. */
  return(recovered: () => void): Promise<void> {
    this.#missing = MISSED;
    this.#recovered = recovered;
    return new Promise((resolve) => (this.#over = resolve));
  }

  #hello(): readonly Step[] {
    const session = this.#session;
    const send = clientMessage(
      encode([
        Op.HELLO,
        1,
        {
          instance: this.#instance,
          grace: GRACE,
          ...(session === undefined ? {} : { session, resume: { [topic]: this.#position } }),
        },
      ]),
    );
    const welcomed: Step = {
      send,
      answered: (payload) => {
        const [[opcode, , welcome] = [], ...rest] = decodeAll(payload);
        if (opcode !== Op.WELCOME) throw new Error(`the server answered HELLO with opcode ${JSON.stringify(opcode)}`);
        this.#welcomed(welcome as unknown as Welcome, session !== undefined);
        this.#take(rest);
        return true;
      },
    };
    if (session !== undefined) return [welcomed];
    const subscribed: Step = {
      send: clientMessage(encode([Op.SUBSCRIBE, 2, topic, null])),
      answered: (payload) => {
        const [[opcode, , data] = []] = decodeAll(payload);
        if (opcode !== Op.ACK) throw new Error(`the server answered SUBSCRIBE with opcode ${JSON.stringify(opcode)}`);
        const { epoch, offset } = data as { readonly epoch: string; readonly offset: number };
        this.#position = [epoch, offset];
        return true;
      },
    };
    return [welcomed, subscribed];
  }

  #welcomed({ session, resumed, topics }: Welcome, returning: boolean): void {
    this.#session = session;
    if (!returning) return;
    const status = topics[topic];
    if (resumed && status?.recovered === true) {
      if (status.epoch !== this.#position[0] || status.offset !== this.#position[1]) {
        throw new Error('the server went on from another position');
      }
      return;
    }
    if (status === undefined || status.code !== undefined) throw new Error('a client is not in its topic any more');
    this.#position = [status.epoch, status.offset];
    this.#counts.refused++;
    this.#done();
  }

  /** How many events they hold. */
  #take(frames: ReturnType<typeof decodeAll>): number {
    let events = 0;
    for (const [opcode, name, ...rest] of frames) {
      if (opcode === Op.RESET) {
        this.#position = [rest[0] as string, rest[1] as number];
        this.#counts.resets++;
        this.#done();
        continue;
      }
      if (opcode !== Op.EVENTS || name !== topic) throw new Error(`the server sent opcode ${JSON.stringify(opcode)}`);
      const [first, ...items] = rest;
      const [epoch, offset] = this.#position;
      if (first !== offset + 1) throw new Error(`event ${JSON.stringify(first)} came after ${offset}`);
      this.#position = [epoch, offset + items.length];
      events += items.length;
      if (this.#missing === 0) continue;
      this.#missing -= items.length;
      if (this.#missing < 0) throw new Error('more events came than were published');
      if (this.#missing > 0) continue;
      this.#counts.recovered++;
      this.#recovered();
      this.#done();
    }
    return events;
  }

  #done(): void {
    this.#missing = 0;
    this.#over();
  }
}
