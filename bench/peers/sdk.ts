/**
 * No server, but the SDK: it is connected to a fake WebSocket of this process, which answers what a
 * connect needs and then hands it messages made before, as a server's EVENTS come. Handlers count.
 */
import { loadClient, loadCodec, loadFrames } from '../dist.js';
import { eventsMessage, type Payload } from '../load/premade.js';
import type { Value } from '../../src/protocol/frames.js';
import { event, topicName } from './names.js';

export interface SdkCell {
  /** Events in a message. */
  readonly w: number;
  readonly data: Payload;
  readonly seconds: number;
}
export interface SdkResult {
  readonly events: number;
  readonly messages: number;
  readonly seconds: number;
  readonly cpuMicroseconds: number;
}

/** Messages that are made before, and used in turn. */
const MESSAGES = 64;
/** Between looks at the clock, and at what else there is to do. */
const TURN_MS = 5;

const { connect } = await loadClient();
const { encode, decodeAll } = await loadCodec();
const { Op } = await loadFrames();
const topic = topicName(0);

/** What the SDK takes for a WebSocket (src/client/wire.ts). */
class FakeSocket {
  static latest: FakeSocket | undefined;
  binaryType = '';
  onopen: (() => void) | null = null;
  onmessage: ((message: { readonly data: ArrayBuffer }) => void) | null = null;
  onclose: ((close: { readonly code: number; readonly reason: string }) => void) | null = null;
  onerror: (() => void) | null = null;

  constructor() {
    FakeSocket.latest = this;
    setImmediate(() => this.onopen?.());
  }

  send(bytes: Uint8Array): void {
    for (const [opcode, id] of decodeAll(bytes)) {
      if (opcode === Op.HELLO) this.#answer([Op.WELCOME, id as number, welcome]);
      if (opcode === Op.SUBSCRIBE) this.#answer([Op.ACK, id as number, { epoch: 'e', offset: 0, recovered: true }]);
    }
  }

  close(): void {
    setImmediate(() => this.onclose?.({ code: 1000, reason: '' }));
  }

  #answer(frame: Value): void {
    const data = Uint8Array.from(encode(frame)).buffer;
    setImmediate(() => this.onmessage?.({ data }));
  }
}

const welcome = {
  session: ['sid', 'secret'],
  resumed: false,
  user: { id: 'u', name: 'Ann' },
  expiresAt: null,
  node: 'n',
  time: Date.now(),
  limits: {},
  pingEvery: 3_600_000,
  features: [],
  topics: {},
};

async function measure({ w, data, seconds }: SdkCell): Promise<SdkResult> {
  const client = connect('ws://fake', { WebSocket: FakeSocket, instance: `${w}`, onError: fail });
  const subscription = client.subscribe(topic);
  let handled = 0;
  subscription.on(event, () => handled++);
  await subscription.ready;
  const socket = FakeSocket.latest;
  if (socket === undefined) throw new Error('the SDK made no WebSocket');
  const messages = Array.from({ length: MESSAGES }, () => eventsMessage(topic, w, data));
  const views = messages.map(({ bytes, offsetAt }) => new DataView(bytes.buffer, offsetAt));
  const datas = messages.map(({ bytes }) => ({ data: bytes.buffer }));
  let sent = 0;
  const run = async (ms: number): Promise<number> => {
    const start = performance.now();
    for (let now = start; now - start < ms; now = performance.now()) {
      for (const pause = now + TURN_MS; performance.now() < pause;) {
        for (let i = 0; i < MESSAGES; i++) {
          (views[i] as DataView).setUint32(0, sent * w + 1);
          sent++;
          socket.onmessage?.(datas[i] as { data: ArrayBuffer });
        }
      }
      await new Promise((resolve) => setImmediate(resolve));
    }
    return (performance.now() - start) / 1000;
  };
  await run(seconds * 250);
  const before = { sent, cpu: process.cpuUsage() };
  const took = await run(seconds * 1000);
  const { user, system } = process.cpuUsage(before.cpu);
  if (handled !== sent * w) throw new Error(`${handled} of ${sent * w} events were handled`);
  client.close();
  const count = sent - before.sent;
  return { events: count * w, messages: count, seconds: took, cpuMicroseconds: user + system };
}

function fail(error: unknown): never {
  throw error;
}

const results: SdkResult[] = [];
for (const cell of JSON.parse(process.argv[2] ?? '[]') as SdkCell[]) results.push(await measure(cell));
process.send?.(results, () => process.exit());
