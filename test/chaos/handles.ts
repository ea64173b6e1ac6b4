/**
 * Lock handles of the real SDK (`room.lock`, `room.withLock`) through the fault proxy, against a server on LMDB that
 * is killed while they are held: renewed, written under, forced, left, waited for, given up. What the clients believed
 * and what the room's log says of it is recorded; handle-history.ts judges it. Bounded by the number of operations.
 */
import { WebSocket } from 'ws';
import { connect, type Client, type Lock, type RoomwireError } from '../../src/client/node.js';
import { random as seeded, type Random } from '../random.js';
import { tokenFor } from '../support/tokens.js';
import { Child, fixedPort, type EngineName } from './child.js';
import { FaultProxy, type Did } from './fault-proxy.js';
import {
  checkHandles,
  type HandleRecord,
  type HandleVerdict,
  type RoomEntry,
  type WriteRecord,
} from './handle-history.js';
import { within } from './within.js';

export interface HandlesOptions {
  readonly seed: number;
  readonly engine: EngineName;
  /** Where LMDB keeps its data. */
  readonly path: string;
  readonly operations: number;
  readonly actors: number;
  readonly rooms: number;
  readonly kills: number;
  readonly strikes: number;
  readonly progress?: (line: string) => void;
}

export interface HandlesResult extends HandleVerdict {
  readonly seed: number;
  readonly did: Did;
  readonly kills: number;
  /** Handles that were believed in when the server was killed, and still when it was back. */
  readonly kept: number;
  readonly operations: number;
  readonly seconds: number;
}

const TARGETS = ['trajectory:meta', 'a'];
const PATIENCE_MS = 60_000;
type Mutable<T> = { -readonly [K in keyof T]: T[K] };
interface Actor {
  readonly name: string;
  readonly token: string;
  readonly client: Client;
}

export async function runHandles(options: HandlesOptions): Promise<HandlesResult> {
  const run = new HandleRun(options);
  try {
    return await run.run();
  } finally {
    await run.stop();
  }
}

class HandleRun {
  readonly #options: HandlesOptions;
  readonly #random: Random;
  readonly #handles: Mutable<HandleRecord>[] = [];
  readonly #writes: Mutable<WriteRecord>[] = [];
  readonly #logs: Record<string, RoomEntry[]> = {};
  readonly #problems: string[] = [];
  readonly #clients: Client[] = [];
  /** Tokens told, by lock: for writes that come too late. */
  readonly #tokens = new Map<string, number[]>();
  #child!: Child;
  #proxy!: FaultProxy;
  #port = 0;
  #clock = 0;
  #ops = 0;
  #kills = 0;
  #kept = 0;
  #killing: Promise<void> | undefined;
  readonly #killAt: number[] = [];

  constructor(options: HandlesOptions) {
    this.#options = options;
    this.#random = seeded(options.seed);
  }

  async run(): Promise<HandlesResult> {
    const { seed, engine, path, operations, actors, rooms, kills, strikes, progress } = this.#options;
    const random = this.#random;
    const began = performance.now();
    this.#port = await fixedPort(random);
    this.#child = new Child({
      path,
      store: 'lmdb',
      engine,
      port: this.#port,
      limits: { lockMinMs: 100, historyEvents: 10_000_000, historyBytes: 1024 ** 3, graceMs: 60_000, lockWaiters: 4 },
    });
    await this.#child.start();
    this.#proxy = await FaultProxy.start({ target: this.#port, random });
    for (let i = 1; i <= kills; i++) this.#killAt.unshift(Math.floor((operations * i) / (kills + 1)));
    const strikeEvery = Math.max(1, Math.floor(operations / (strikes + 1)));

    const names = Array.from({ length: rooms }, (_, i) => `r${i}`);
    // First in each room, so its host: it may end another's lease, and by its own way it misses nothing.
    const host = await this.#connect('host', this.#port);
    await Promise.all(names.map((name) => this.#watch(host, name)));
    const cast: Actor[] = [];
    for (let i = 0; i < actors; i++) cast.push(await this.#connect(`a${i}`, this.#proxy.port));
    await Promise.all(cast.flatMap(({ client }) => names.map((name) => client.room(name).join())));

    const play = async (actor: Actor): Promise<void> => {
      while (this.#ops < operations) {
        const op = ++this.#ops;
        if (op % strikeEvery === 0) this.#proxy.strike({ lastMs: random.chance(0.3) ? 1_500 : 150 });
        if (this.#killing === undefined && op > (this.#killAt.at(-1) ?? Infinity)) {
          this.#killAt.pop();
          this.#killing = this.#kill().finally(() => (this.#killing = undefined));
          this.#killing.catch((error: unknown) => this.#problems.push(String(error)));
        }
        if (op % 500 === 0) progress?.(`${op} operations on handles, ${this.#kills} kills`);
        await this.#step(actor, host, op, names[random.below(rooms)] as string);
      }
    };
    await Promise.all(cast.map(play));
    await this.#killing;
    this.#proxy.calm();
    await this.#settle(host, names);
    if (this.#child.crashed) this.#problems.push('the server ended by itself');
    const verdict = checkHandles({ handles: this.#handles, writes: this.#writes, logs: this.#logs });
    return {
      ...verdict,
      complaints: [...this.#problems, ...verdict.complaints],
      complaintCount: verdict.complaintCount + this.#problems.length,
      seed,
      did: this.#proxy.did,
      kills: this.#kills,
      kept: this.#kept,
      operations: this.#ops,
      seconds: (performance.now() - began) / 1000,
    };
  }

  async stop(): Promise<void> {
    await this.#killing?.catch(() => undefined);
    for (const client of this.#clients) client.close();
    await this.#proxy?.close();
    await this.#child?.kill();
  }

  // ---- one step of one actor ---------------------------------------------------------------------------------

  async #step(actor: Actor, host: Actor, op: number, roomId: string): Promise<void> {
    const random = this.#random;
    const target = TARGETS[random.below(TARGETS.length)] as string;
    const lock = `${roomId}/${target}`;
    const pick = random.below(100);
    if (pick < 75) return this.#hold(actor, op, roomId, target);
    if (pick < 92) {
      const known = this.#tokens.get(lock) ?? [];
      return this.#write(actor, op, roomId, target, random.chance(0.8) ? known[random.below(known.length)] : undefined);
    }
    const room = actor.client.room(roomId);
    if (pick < 97) {
      const now = ++this.#clock;
      for (const handle of this.#handles) if (handle.lock === lock && handle.over === undefined) handle.forced ??= now;
      // Refused when nobody holds it, or while the server is away.
      await host.client.call('lock:force', { roomId, target }).catch(() => undefined);
    } else {
      await room.leave().catch(() => undefined);
      await room.join().catch(() => undefined);
    }
  }

  /** Takes the lock, does things under it and gives it back. */
  async #hold(actor: Actor, op: number, roomId: string, target: string): Promise<void> {
    const random = this.#random;
    const room = actor.client.room(roomId);
    const lock = `${roomId}/${target}`;
    const record: Mutable<HandleRecord> = { op, lock, asked: ++this.#clock };
    this.#handles.push(record);
    const abort = random.chance(0.1) ? new AbortController() : undefined;
    if (abort !== undefined) setTimeout(() => abort.abort(), random.below(300));
    const options = {
      ttl: 200 + random.below(random.chance(0.5) ? 600 : 4_000),
      msg: `${op}`,
      wait: random.chance(0.6) ? random.below(2_000) : undefined,
      timeoutMs: PATIENCE_MS,
      signal: abort?.signal,
    };
    const over = (lost: boolean): void => {
      record.over ??= ++this.#clock;
      record.lost ??= lost;
    };
    const work = async (held: Lock): Promise<void> => {
      record.answered = ++this.#clock;
      record.token = held.token;
      this.#tokens.set(lock, [...(this.#tokens.get(lock) ?? []).slice(-4), held.token]);
      held.signal.addEventListener('abort', () => over(true));
      if (held.signal.aborted) over(true);
      setTimeout(() => (record.settled = ++this.#clock), 1);
      try {
        for (let i = random.below(4); i > 0 && !held.signal.aborted; i--) await this.#under(actor, held, roomId, op);
        if (random.chance(0.1)) throw new Error('the holder fails');
      } finally {
        over(false);
      }
    };
    try {
      if (random.chance(0.7)) await room.withLock(target, options, work);
      else {
        const held = await room.lock(target, options);
        await work(held).finally(() => held.release().catch(() => false));
      }
    } catch (error) {
      // `lock_held` by waiting in vain, a cut, a kill: the store's word is in the room's log.
      const expected = typeof (error as RoomwireError).code === 'number' || String(error).includes('the holder fails');
      if (!expected) this.#problems.push(`op ${op}: ${String(error)}`);
    }
    record.answered ??= ++this.#clock;
  }

  /** What a holder does. */
  async #under(actor: Actor, held: Lock, roomId: string, op: number): Promise<void> {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return this.#write(actor, ++this.#ops, roomId, held.target, held.token);
      case 1:
        return held.message(`${op} is at work`).catch(() => undefined);
      case 2:
        return held.refresh().catch(() => undefined);
      case 3:
        // Long enough for a lease to be renewed, or to be lost; the holder stops when it is.
        return pause(random.below(2_000), held.signal);
      default:
        return pause(random.below(60), held.signal);
    }
  }

  async #write(actor: Actor, op: number, roomId: string, target: string, token: number | undefined): Promise<void> {
    const guarded = token === undefined ? 'trajectory:meta' : target;
    const record: Mutable<WriteRecord> = { op, lock: `${roomId}/${guarded}`, token, asked: ++this.#clock };
    this.#writes.push(record);
    const headers: Record<string, string> = {
      'content-type': 'application/json',
      authorization: `Bearer ${actor.token}`,
    };
    if (token !== undefined) Object.assign(headers, { 'lock-token': `${token}`, 'lock-target': guarded });
    let outcome: WriteRecord['outcome'] = 'unknown';
    try {
      const body = JSON.stringify({ frameCount: op });
      const url = `http://127.0.0.1:${this.#port}/api/rooms/${roomId}`;
      const signal = AbortSignal.timeout(PATIENCE_MS);
      const response = await fetch(url, { method: 'PATCH', headers, body, signal });
      const { name } = (await response.json()) as { name?: string };
      if (response.ok) outcome = 'taken';
      else if (name === 'lock_lost' || name === 'lock_held') outcome = name;
    } catch {
      // The server was killed: it happened or not.
    }
    record.answered = ++this.#clock;
    record.outcome = outcome;
  }

  // ---- the others ----------------------------------------------------------------------------------------------

  async #connect(name: string, port: number): Promise<Actor> {
    const token = await tokenFor(name);
    const client: Client = connect(`ws://127.0.0.1:${port}`, {
      WebSocket,
      token: () => token,
      instance: `${name}-${this.#options.seed}`,
      backoff: { baseMs: 5, maxMs: 50 },
      callTimeoutMs: PATIENCE_MS,
      random: () => this.#random.next(),
      onError: (error) => this.#problems.push(`${name}: ${String(error)}`),
    });
    this.#clients.push(client);
    client.state.subscribe(({ status, reason }) => {
      if (status === 'refused') this.#problems.push(`${name} was refused for good: ${reason?.code} ${reason?.message}`);
    });
    return { name, token, client };
  }

  /** Writes down what the room's log says of its locks. */
  async #watch({ client }: Actor, roomId: string): Promise<void> {
    const log: RoomEntry[] = [];
    this.#logs[roomId] = log;
    const room = client.room(roomId);
    room.on('reset', ({ reason }) => this.#problems.push(`${roomId} was reset: ${reason}`));
    room.on('removed', ({ code }) => this.#problems.push(`${roomId} was lost: ${code}`));
    room.on('lock:update', (data) => {
      const { target, lock } = data as { target: string; lock: { msg: string } | null };
      const name = `${roomId}/${target}`;
      log.push(lock === null ? { kind: 'free', lock: name } : { kind: 'held', lock: name, op: parseInt(lock.msg, 10) });
    });
    room.on('room:update', (data) => {
      const { frameCount } = data as { frameCount?: number };
      if (frameCount !== undefined) log.push({ kind: 'write', op: frameCount });
    });
    await room.join({ create: { frameCount: 0 } });
  }

  /** Whoever got a lock and was not told holds it until its lease ends. */
  async #settle({ client }: Actor, names: readonly string[]): Promise<void> {
    const rooms = names.map((name) => client.room(name).state);
    const free = (): boolean => rooms.every((state) => Object.keys(state.get().locks).length === 0);
    await within(PATIENCE_MS, free, 'the end of every lease').catch((error: unknown) =>
      this.#problems.push(String(error)),
    );
    // All that was published before has been read then.
    for (const name of names) {
      const { offset } = await client.publish(`room:${name}`, 'message', 'end', { timeoutMs: PATIENCE_MS });
      const topic = client.listen(`room:${name}`);
      await within(PATIENCE_MS, () => (topic.position?.[1] ?? 0) >= offset);
    }
  }

  async #kill(): Promise<void> {
    const believed = this.#handles.filter(({ token, over }) => token !== undefined && over === undefined);
    this.#kills++;
    await this.#child.kill();
    await this.#child.start();
    this.#kept += believed.filter(({ over }) => over === undefined).length;
  }
}

/** Some time, or until the signal. */
function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
