/**
 * Lock handles of the real SDK (`room.lock`, `room.withLock`) through the fault proxy, against a server on LMDB that
 * is killed while they are held: renewed, written under, forced, left, waited for, given up. What the clients believed
 * and what the room's log says of it is recorded, and judged. Bounded by the number of operations.
 */
import type { Client, Lock, RoomwireError } from '../../src/client/node.js';
import { freePort } from '../support/free-port.js';
import { tokenFor } from '../support/tokens.js';
import { writeGuarded } from './guarded-write.js';
import { lockName } from './history.js';
import { codeOf } from './recorder.js';
import { PATIENCE_MS, Run, type RunOptions, type RunResult } from './run.js';
import { within } from './within.js';

export interface HandlesOptions extends RunOptions {
  readonly operations: number;
  readonly actors: number;
  readonly rooms: number;
}

export interface HandlesResult extends RunResult {
  /** Handles that were believed in when the server was killed, and still when it was back. */
  readonly kept: number;
}

const TARGETS = ['trajectory:meta', 'a'];
interface Actor {
  readonly name: string;
  readonly token: string;
  readonly client: Client;
}

export async function runHandles(options: HandlesOptions): Promise<HandlesResult> {
  const run = new HandleRun(options);
  return { ...(await run.result()), kept: run.kept };
}

class HandleRun extends Run<HandlesOptions> {
  kept = 0;
  /** Operations whose handles are believed in. */
  readonly #believed = new Set<number>();
  /** Tokens told, by lock: for writes that come too late. */
  readonly #tokens = new Map<string, number[]>();
  #steps = 0;

  protected override async play(): Promise<void> {
    const { engine, path, operations, actors, rooms, restarts, progress } = this.options;
    const { random } = this;
    const port = await freePort();
    await this.startHost(() => ({
      path,
      store: 'lmdb',
      engine,
      port,
      limits: { lockMinMs: 100, historyEvents: 10_000_000, historyBytes: 1024 ** 3, graceMs: 60_000, lockWaiters: 4 },
    }));
    await this.expose(this.host.port, operations);
    this.restartsAt(Array.from({ length: restarts }, (_, i) => Math.floor((operations * (i + 1)) / (restarts + 1))));

    const names = Array.from({ length: rooms }, (_, i) => `r${i}`);
    // First in each room, so its host: it may end another's lease, and by its own way it misses nothing.
    const host = await this.#actor('host', this.host.port);
    await Promise.all(names.map((name) => this.#watch(host, name)));
    const cast: Actor[] = [];
    for (let i = 0; i < actors; i++) cast.push(await this.#actor(`a${i}`));
    await Promise.all(cast.flatMap(({ client }) => names.map((name) => client.room(name).join())));

    const play = async (actor: Actor): Promise<void> => {
      while (this.recorder.asked < operations && !this.isOver) {
        const step = ++this.#steps;
        this.strikeAt(step, { lastMs: random.chance(0.3) ? 1_500 : 150 });
        this.restartAt(this.recorder.asked);
        if (step % 500 === 0) progress?.(`${step} steps with handles, ${this.restarts} kills`);
        await this.#step(actor, host, names[random.below(rooms)] as string);
        await this.did();
      }
    };
    await Promise.all(cast.map(play));
    await this.restarting;
    this.proxy.calm();
    await this.#settle(host, names);
    if (this.host.crashed) this.recorder.problem('the server ended by itself');
  }

  // ---- one step of one actor ---------------------------------------------------------------------------------

  async #step(actor: Actor, host: Actor, roomId: string): Promise<void> {
    const random = this.random;
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
      await this.recorder.observe({ who: 'host', call: 'force', of: lock }, force, () => ({})).catch(() => undefined);
    } else {
      await room.leave().catch(() => undefined);
      await room.join().catch(() => undefined);
    }
  }

  /** Takes the lock, does things under it and gives it back. */
  async #hold(actor: Actor, roomId: string, target: string): Promise<void> {
    const [random, recorder] = [this.random, this.recorder];
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
    const random = this.random;
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
    const [port, authorization] = [this.host.port, `Bearer ${actor.token}`];
    const ask = { who: actor.name, call: 'write', of: lockName(roomId, guarded), token } as const;
    const write = (op: number) =>
      writeGuarded({ port, roomId, op, token, target: guarded, authorization, timeoutMs: PATIENCE_MS });
    // Refused, or the server was killed: it happened or not.
    await this.recorder.observe(ask, write, () => ({})).catch(() => undefined);
  }

  // ---- the others ----------------------------------------------------------------------------------------------

  async #actor(name: string, port?: number): Promise<Actor> {
    const token = await tokenFor(name);
    return { name, token, client: this.connect(name, { token, port }) };
  }

  /** Writes down what the room's log says of its locks. */
  async #watch({ name, client }: Actor, roomId: string): Promise<void> {
    const room = client.room(roomId);
    this.recorder.note({ kind: 'begin', who: name, topic: room.topic });
    this.recorder.hear(name, room, { stream: client.listen(room.topic) });
    room.on('reset', ({ reason }) => this.recorder.problem(`${roomId} was reset: ${reason}`));
    await room.join({ create: { frameCount: 0 } });
  }

  /** Whoever got a lock and was not told holds it until its lease ends. */
  async #settle({ client }: Actor, names: readonly string[]): Promise<void> {
    const rooms = names.map((name) => client.room(name).state);
    const free = (): boolean => rooms.every((state) => Object.keys(state.get().locks).length === 0);
    await within(PATIENCE_MS, free, 'the end of every lease').catch((error: unknown) =>
      this.recorder.problem(String(error)),
    );
    // All that was published before has been read then.
    for (const name of names) {
      const topic = client.listen(`room:${name}`);
      const options = { timeoutMs: PATIENCE_MS };
      const { epoch, offset } = await this.recorder.publish('host', topic, 'message', 'end', options);
      await within(PATIENCE_MS, () => (topic.position?.[1] ?? 0) >= offset);
      this.recorder.note({ kind: 'head', topic: topic.topic, at: [epoch, offset] });
    }
  }

  protected override async restart(): Promise<void> {
    const before = [...this.#believed];
    this.recorder.note({ kind: 'server', forgets: false });
    await super.restart();
    this.kept += before.filter((op) => this.#believed.has(op)).length;
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
