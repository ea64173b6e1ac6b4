/**
 * Lock handles of the real SDK (`room.lock`, `room.withLock`) through the fault proxy, against a server on LMDB that
 * is killed while they are held: renewed, written under, forced, left, waited for, given up. What the clients believed
 * and what the room's log says of it is recorded, and judged. Bounded by the number of operations.
 */
import type { Client, Lock, RoomwireError } from '../../src/client/node.js';
import { random as seeded, type Random } from '../random.js';
import { tokenFor } from '../support/tokens.js';
import { Child, fixedPort, type EngineName } from './child.js';
import { FaultProxy, type Did } from './fault-proxy.js';
import { check, type Verdict } from './checker.js';
import { writeGuarded } from './guarded-write.js';
import { lockName, type History } from './history.js';
import { codeOf, Recorder } from './recorder.js';
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

export interface HandlesResult extends Verdict {
  readonly history: History;
  readonly seed: number;
  readonly did: Did;
  readonly kills: number;
  /** Handles that were believed in when the server was killed, and still when it was back. */
  readonly kept: number;
  readonly seconds: number;
}

const TARGETS = ['trajectory:meta', 'a'];
const PATIENCE_MS = 60_000;
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
  readonly #recorder = new Recorder();
  /** Operations whose handles are believed in. */
  readonly #believed = new Set<number>();
  /** Tokens told, by lock: for writes that come too late. */
  readonly #tokens = new Map<string, number[]>();
  #child!: Child;
  #proxy!: FaultProxy;
  #port = 0;
  #steps = 0;
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
      while (this.#recorder.asked < operations) {
        const step = ++this.#steps;
        if (step % strikeEvery === 0) this.#proxy.strike({ lastMs: random.chance(0.3) ? 1_500 : 150 });
        if (this.#killing === undefined && this.#recorder.asked > (this.#killAt.at(-1) ?? Infinity)) {
          this.#killAt.pop();
          this.#killing = this.#kill().finally(() => (this.#killing = undefined));
          this.#killing.catch((error: unknown) => this.#recorder.problem(String(error)));
        }
        if (step % 500 === 0) progress?.(`${step} steps with handles, ${this.#kills} kills`);
        await this.#step(actor, host, names[random.below(rooms)] as string);
      }
    };
    await Promise.all(cast.map(play));
    await this.#killing;
    this.#proxy.calm();
    await this.#settle(host, names);
    if (this.#child.crashed) this.#recorder.problem('the server ended by itself');
    const { history } = this.#recorder;
    const seconds = (performance.now() - began) / 1000;
    const [did, kept] = [this.#proxy.did, this.#kept];
    return { ...check(history), history, seed, did, kills: this.#kills, kept, seconds };
  }

  async stop(): Promise<void> {
    await this.#killing?.catch(() => undefined);
    this.#recorder.closeAll();
    await this.#proxy?.close();
    await this.#child?.kill();
  }

  // ---- one step of one actor ---------------------------------------------------------------------------------

  async #step(actor: Actor, host: Actor, roomId: string): Promise<void> {
    const random = this.#random;
    const target = TARGETS[random.below(TARGETS.length)] as string;
    const lock = lockName(roomId, target);
    const pick = random.below(100);
    if (pick < 75) return this.#hold(actor, roomId, target);
    if (pick < 92) {
      const known = this.#tokens.get(lock) ?? [];
      return this.#write(actor, roomId, target, random.chance(0.8) ? known[random.below(known.length)] : undefined);
    }
    const room = actor.client.room(roomId);
    if (pick < 97) {
      const force = () => host.client.call('lock:force', { roomId, target });
      // Refused when nobody holds it, or while the server is away.
      await this.#recorder.observe({ who: 'host', call: 'force', of: lock }, force, () => ({})).catch(() => undefined);
    } else {
      await room.leave().catch(() => undefined);
      await room.join().catch(() => undefined);
    }
  }

  /** Takes the lock, does things under it and gives it back. */
  async #hold(actor: Actor, roomId: string, target: string): Promise<void> {
    const [random, recorder] = [this.#random, this.#recorder];
    const room = actor.client.room(roomId);
    const lock = lockName(roomId, target);
    const op = recorder.ask({ who: actor.name, call: 'lock', of: lock });
    let [isAnswered, isOver] = [false, false];
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
      if (!isOver) recorder.note({ kind: 'over', op, lost });
      isOver = true;
      this.#believed.delete(op);
    };
    const work = async (held: Lock): Promise<void> => {
      recorder.answer(op, { token: held.token });
      isAnswered = true;
      this.#believed.add(op);
      this.#tokens.set(lock, [...(this.#tokens.get(lock) ?? []).slice(-4), held.token]);
      held.signal.addEventListener('abort', () => over(true));
      if (held.signal.aborted) over(true);
      setTimeout(() => recorder.note({ kind: 'sure', op }), 1);
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
      if (!expected) recorder.problem(`op ${op}: ${String(error)}`);
      if (!isAnswered) recorder.answer(op, { code: codeOf(error) });
    }
  }

  /** What a holder does. */
  async #under(actor: Actor, held: Lock, roomId: string, op: number): Promise<void> {
    const random = this.#random;
    switch (random.below(5)) {
      case 0:
        return this.#write(actor, roomId, held.target, held.token);
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

  async #write(actor: Actor, roomId: string, target: string, token: number | undefined): Promise<void> {
    const guarded = token === undefined ? 'trajectory:meta' : target;
    const [port, authorization] = [this.#port, `Bearer ${actor.token}`];
    const ask = { who: actor.name, call: 'write', of: lockName(roomId, guarded), token } as const;
    const write = (op: number) =>
      writeGuarded({ port, roomId, op, token, target: guarded, authorization, timeoutMs: PATIENCE_MS });
    // Refused, or the server was killed: it happened or not.
    await this.#recorder.observe(ask, write, () => ({})).catch(() => undefined);
  }

  // ---- the others ----------------------------------------------------------------------------------------------

  async #connect(name: string, port: number): Promise<Actor> {
    const token = await tokenFor(name);
    const client = this.#recorder.connect(name, `ws://127.0.0.1:${port}`, {
      token: () => token,
      instance: `${name}-${this.#options.seed}`,
      backoff: { baseMs: 5, maxMs: 50 },
      callTimeoutMs: PATIENCE_MS,
      random: () => this.#random.next(),
    });
    return { name, token, client };
  }

  /** Writes down what the room's log says of its locks. */
  async #watch({ name, client }: Actor, roomId: string): Promise<void> {
    const room = client.room(roomId);
    this.#recorder.note({ kind: 'begin', who: name, topic: room.topic });
    this.#recorder.hear(name, room, { stream: client.listen(room.topic) });
    room.on('reset', ({ reason }) => this.#recorder.problem(`${roomId} was reset: ${reason}`));
    await room.join({ create: { frameCount: 0 } });
  }

  /** Whoever got a lock and was not told holds it until its lease ends. */
  async #settle({ client }: Actor, names: readonly string[]): Promise<void> {
    const rooms = names.map((name) => client.room(name).state);
    const free = (): boolean => rooms.every((state) => Object.keys(state.get().locks).length === 0);
    await within(PATIENCE_MS, free, 'the end of every lease').catch((error: unknown) =>
      this.#recorder.problem(String(error)),
    );
    // All that was published before has been read then.
    for (const name of names) {
      const topic = client.listen(`room:${name}`);
      const options = { timeoutMs: PATIENCE_MS };
      const { epoch, offset } = await this.#recorder.publish('host', topic, 'message', 'end', options);
      await within(PATIENCE_MS, () => (topic.position?.[1] ?? 0) >= offset);
      this.#recorder.note({ kind: 'head', topic: topic.topic, at: [epoch, offset] });
    }
  }

  async #kill(): Promise<void> {
    const before = [...this.#believed];
    this.#kills++;
    this.#recorder.note({ kind: 'server', forgets: false });
    await this.#child.kill();
    await this.#child.start();
    this.#kept += before.filter((op) => this.#believed.has(op)).length;
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
