/**
 * The checks of a server, made of the vectors: valid messages are taken, invalid ones close as they should, and each
 * sequence goes as it is written. What a sequence needs and the server or its host has not is skipped, and said.
 */
import { Op, SUBPROTOCOL } from '../protocol/frames.js';
import { problem, shown } from './patterns.js';
import { play, type Host } from './play.js';
import type { Check } from './report.js';
import {
  bytesOf,
  messageOf,
  valueOf,
  type FrameVector,
  type NegativeVector,
  type Sequence,
  type Vectors,
} from './vectors.js';
import { hexOf, Mismatch, Wire } from './wire.js';

export interface Subject {
  readonly url: string;
  readonly host: Partial<Host>;
  /** Of HELLO, where the server asks for one. */
  readonly token?: string | undefined;
}

export interface ServerChecks {
  readonly vectors: Vectors;
  readonly timeoutMs: number;
  /** What the server offers, beside what `host` can do: rooms, conform, guests, tokens, time. */
  readonly offers: ReadonlySet<string>;
  /** In force, by WELCOME; compared with those that a sequence is about. */
  readonly limits: Readonly<Record<string, number>>;
  readonly subject: Subject;
  /** A server of its own for a sequence, where they can be had: then its limits and needs are met by that. */
  readonly start?: (sequence: Sequence) => Promise<Subject>;
}

export function serverChecks(options: ServerChecks): Check[] {
  const { vectors } = options;
  return [
    ...vectors.frames.filter(({ from }) => from !== 'server').map((vector) => validCheck(vector, options)),
    ...vectors.negative.map((vector) => negativeCheck(vector, options)),
    ...vectors.sequences.map((sequence) => sequenceCheck(sequence, options)),
  ];
}

/** What a server without tokens, or with one, says to a client that only looks. */
export async function welcomeOf({ url, token }: Subject, timeoutMs: number): Promise<Record<string, unknown>> {
  return connected({ url, token, timeoutMs }, (_wire, welcome) => Promise.resolve(welcome));
}

/** Whether a call of this name is there at all. */
export function hasCall(name: string, { url, token }: Subject, timeoutMs: number): Promise<boolean> {
  return connected({ url, token, timeoutMs }, async (wire) => {
    wire.send([Op.CALL, 2, name, {}]);
    const answer = await next(wire, ([op, id]) => (op === Op.ACK || op === Op.NACK) && id === 2, timeoutMs);
    return !(answer[0] === Op.NACK && answer[2] === 102);
  });
}

function validCheck({ id, rules, hex, frames }: FrameVector, { subject, timeoutMs }: ServerChecks): Check {
  return {
    id: `valid/${id}`,
    title: 'a valid message is taken',
    rules,
    async run() {
      const { url, token } = subject;
      const isHello = frames.some(([op]) => op === Op.HELLO);
      const isLast = frames.some(([op]) => op === Op.BYE);
      const asked = frames.filter(([op]) => op === Op.PING).map(([, stamp = null]) => valueOf(stamp));
      if (isHello) {
        // Its token and session are nobody's: what counts is that the message is no mistake.
        return opened(url, timeoutMs, async (wire) => {
          wire.write(bytesOf(hex));
          const ended = wire.closed.then(({ code, reason }) => {
            if (code < 4100) throw mismatch(wire, `closed with ${code} ${reason}`);
            return [] as readonly unknown[];
          });
          await Promise.race([next(wire, ([op]) => op === Op.WELCOME, timeoutMs), ended]);
        });
      }
      await connected({ url, token, timeoutMs }, async (wire) => {
        wire.write(bytesOf(hex));
        for (const stamp of asked) {
          const [, answer] = await next(wire, ([op]) => op === Op.PONG, timeoutMs);
          const wrong = problem(literal(stamp), answer, new Map());
          if (wrong !== undefined) throw mismatch(wire, `RW-CON-9: PONG has another stamp: ${wrong}`);
        }
        if (isLast) {
          const { code } = await wire.closed;
          if (code !== 4009) throw mismatch(wire, `closed with ${code} after BYE`);
          return;
        }
        wire.send([Op.PING, 'still here']);
        await next(wire, ([op, stamp]) => op === Op.PONG && stamp === 'still here', timeoutMs);
      });
    },
  };
}

/** Matches what equals it, NaN too. */
function literal(value: unknown): unknown {
  if (value instanceof Uint8Array) return { $bin: Buffer.from(value).toString('hex') };
  if (Array.isArray(value)) return value.map(literal);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, part]) => [key, literal(part)]));
}

function negativeCheck(vector: NegativeVector, { subject, timeoutMs }: ServerChecks): Check {
  const { id, rules, when, text, close, reason = '' } = vector;
  return {
    id: `invalid/${id}`,
    title: `closes with ${close} ${reason}`.trimEnd(),
    rules,
    async run() {
      const { url, token } = subject;
      const send = async (wire: Wire): Promise<void> => {
        wire.write(text ?? messageOf(vector));
        const ended = await inTime(wire.closed, timeoutMs, () => mismatch(wire, 'the connection is open still'));
        if (ended.code !== close || !ended.reason.startsWith(reason))
          throw mismatch(wire, `closed with ${ended.code} ${ended.reason}`);
        const goaway = wire.frames.find(([op]) => op === Op.GOAWAY);
        if (goaway !== undefined && goaway[1] !== close) throw mismatch(wire, `GOAWAY says ${shown(goaway)}`);
      };
      if (when === 'open') return opened(url, timeoutMs, send);
      await connected({ url, token, timeoutMs }, send);
    },
  };
}

function sequenceCheck(sequence: Sequence, options: ServerChecks): Check {
  const { id, title, rules, needs = [], limits = {}, admission } = sequence;
  const { offers, limits: inForce, subject, start, timeoutMs } = options;
  const missing = needs.filter((need) => !offers.has(need) && !(need in subject.host));
  const other = Object.entries(limits).filter(([name, value]) => inForce[name] !== value);
  const skip =
    start !== undefined
      ? undefined
      : missing.length > 0
        ? `the server or the runner lacks ${missing.join(', ')}`
        : other.length > 0
          ? `the server needs the limits ${other.map(([name, value]) => `${name}=${value}`).join(', ')}`
          : admission !== undefined
            ? `the server needs the admission ${JSON.stringify(admission)}`
            : undefined;
  return {
    id,
    title,
    rules,
    skip,
    run: async () => play(sequence, { ...(start === undefined ? subject : await start(sequence)), timeoutMs }),
  };
}

async function opened<T>(url: string, timeoutMs: number, use: (wire: Wire) => Promise<T>): Promise<T> {
  const wire = new Wire(url, { protocols: [SUBPROTOCOL], headers: {}, silent: false });
  try {
    const { status } = await inTime(wire.opened, timeoutMs, () => mismatch(wire, 'RW-CON-1: no answer to the upgrade'));
    if (status !== 101) throw mismatch(wire, `RW-CON-1: the upgrade was answered with ${status}`);
    return await use(wire);
  } finally {
    wire.socket.terminate();
  }
}

function connected<T>(
  { url, token, timeoutMs }: Omit<Subject, 'host'> & { readonly timeoutMs: number },
  use: (wire: Wire, welcome: Record<string, unknown>) => Promise<T>,
): Promise<T> {
  return opened(url, timeoutMs, async (wire) => {
    wire.send([Op.HELLO, 1, { instance: 'roomwire-conform', ...(token === undefined ? {} : { token }) }]);
    const welcome = await next(wire, ([op]) => op === Op.WELCOME, timeoutMs);
    return use(wire, welcome[2] as Record<string, unknown>);
  });
}

/** The next frame of a kind; what comes before it is passed over. Fails with the close, if that is what comes. */
async function next(
  wire: Wire,
  wanted: (frame: readonly unknown[]) => boolean,
  timeoutMs: number,
): Promise<readonly unknown[]> {
  const found = async (): Promise<readonly unknown[]> => {
    for (; ; await wire.more()) {
      const at = wire.frames.findIndex(wanted);
      if (at >= 0) return wire.frames.splice(at, 1)[0] as readonly unknown[];
    }
  };
  const ended = wire.closed.then(({ code, reason }) => {
    throw mismatch(wire, `closed with ${code} ${reason}`);
  });
  ended.catch(() => undefined);
  return inTime(Promise.race([found(), ended]), timeoutMs, () => mismatch(wire, 'no answer in time'));
}

function mismatch(wire: Wire, message: string): Mismatch {
  const told = new Mismatch(message);
  told.bytes = hexOf(wire.last);
  return told;
}

async function inTime<T>(promise: Promise<T>, ms: number, late: () => Error): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(late()), ms);
  });
  return Promise.race([promise, timeout]).finally(() => clearTimeout(timer));
}
