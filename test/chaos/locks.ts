/**
 * Random lock operations by many clients (the real SDK) through the fault proxy: with and without waiting, under
 * current and old tokens, cancelled, cut, leaving, with a clock that the run moves and sets, and servers that close
 * and begin again. lock-trace.ts tells what the store made of them.
 */
import type { Client, RoomwireError } from '../../src/client/node.js';
import { http } from '../../src/http/http.js';
import { defineContract } from '../../src/protocol/contract.js';
import { roomsContract } from '../../src/protocol/rooms-contract.js';
import { createServer } from '../../src/server/server.js';
import { lmdbStore } from '../../src/store/lmdb.js';
import { memoryStore } from '../../src/store/memory.js';
import * as v from 'valibot';
import { ManualTime } from '../support/manual-time.js';
import { unrated } from '../support/unrated.js';
import type { StoreName } from './child.js';
import { writeGuarded } from './guarded-write.js';
import { lockName, type Ask, type Call } from './history.js';
import { LockTrace } from './lock-trace.js';
import { codeOf } from './recorder.js';
import { PATIENCE_MS, Run, type RunOptions, type RunResult } from './run.js';
import { within } from './within.js';
import { suiteTransport } from '../support/edge.js';

export interface LocksOptions extends RunOptions {
  readonly store: StoreName;
  readonly operations: number;
  readonly actors: number;
  readonly rooms: number;
}

export interface LocksResult extends RunResult {
  /** How often each call was answered with what. */
  readonly answers: Readonly<Record<string, number>>;
}

const TARGETS = ['trajectory:meta', 'a', 'дверь'];
/** What each call takes beside what the rooms' contract says: which operation it is. */
const Op = v.optional(v.number());
const base = roomsContract();
const calls = Object.fromEntries(
  Object.entries(base.calls).map(([name, call]) => {
    if (!name.startsWith('lock:')) return [name, call];
    const { entries } = call.input as unknown as { entries: v.ObjectEntries };
    return [name, { ...call, input: v.object({ ...entries, op: Op }) }];
  }),
);
const contract = defineContract({ use: [{ ...base, calls }] });

export async function runLocks(options: LocksOptions): Promise<LocksResult> {
  const run = new LockRun(options);
  return { ...(await run.result()), answers: Object.fromEntries([...run.answers].sort()) };
}

interface Actor {
  readonly name: string;
  client: Client;
  /** Tokens it was told, the newest last. */
  readonly tokens: Map<string, number[]>;
  waiting: number;
}

class LockRun extends Run<LocksOptions> {
  readonly answers = new Map<string, number>();
  readonly #trace = new LockTrace();
  readonly #time = new ManualTime();
  readonly #waits = new Set<Promise<void>>();
  #server!: Awaited<ReturnType<LockRun['serve']>>;
  #port = 0;
  #done = 0;

  /** A server whose clock stands still unless the run moves it. */
  async serve() {
    const { engine, store, path } = this.options;
    const server = createServer({
      contract,
      plugins: [this.#trace.plugin(), http()] as const,
      store: store === 'lmdb' ? lmdbStore({ path }) : memoryStore(),
      engine,
      ...suiteTransport({ engine, time: this.#time }),
      time: this.#time,
      // The run's time is faster than the clients': what waits for them must not be short.
      limits: { ...unrated, lockMinMs: 1, helloMs: 10_000_000, graceMs: 4_000, graceMaxMs: 4_000, lockWaiters: 5 },
      pingEvery: 10_000_000,
      log: {
        debug() {},
        info() {},
        warn() {},
        error: (fields, message) => {
          const { err } = fields as { err?: unknown };
          this.recorder.problem(`the server logged: ${message}: ${String((err as Error)?.stack ?? err)}`);
        },
      },
    });
    ({ port: this.#port } = await server.listen({ port: 0 }));
    return server;
  }

  protected override async play(): Promise<void> {
    const { operations, actors, rooms, restarts, progress } = this.options;
    const { random } = this;
    this.#server = await this.serve();
    await this.expose(this.#port, operations);
    this.restartsAt(Array.from({ length: restarts }, () => random.below(operations * 0.9)));

    const cast = await Promise.all(Array.from({ length: actors }, (_, i) => this.#actor(`a${i}`)));
    // Time passes by itself too, so that whoever waits for it gets there.
    const ticker = setInterval(() => this.#time.advance(random.below(20)), 2);
    let left = operations;
    const play = async (actor: Actor): Promise<void> => {
      while (left > 0) {
        left--;
        await this.#step(actor, rooms);
        this.strikeAt(this.#done, { lastMs: 60 });
        this.restartAt(this.#done);
        if (operations - left > 0 && (operations - left) % 10_000 === 0) {
          progress?.(`${operations - left} lock operations, ${this.restarts} restarts`);
        }
      }
    };
    try {
      await Promise.all(cast.map(play));
      await this.restarting;
      this.proxy.calm();
      // Waits end by time alone if by nothing else. Whoever is not answered then is judged as it is.
      await within(PATIENCE_MS, () => this.#waits.size === 0).catch(() => undefined);
    } finally {
      clearInterval(ticker);
    }
    for (const entry of this.#trace.entries) this.recorder.note(entry);
  }

  protected override async end(): Promise<void> {
    await this.#server?.close();
  }

  // ---- one step of one actor -----------------------------------------------------------------------------------

  async #step(actor: Actor, rooms: number): Promise<void> {
    const random = this.random;
    const roomId = `r${random.below(rooms)}`;
    const target = TARGETS[random.below(TARGETS.length)] as string;
    const lock = lockName(roomId, target);
    const token = this.#token(actor, lock);
    const pick = random.below(100);
    if (pick < 28) return this.#acquire(actor, roomId, target);
    if (pick < 42) {
      const msg = random.chance(0.3) ? `m${this.recorder.asked}` : undefined;
      return this.#call(actor, 'refresh', { roomId, target, token, ttl: this.#ttl(), msg });
    }
    if (pick < 60) return this.#call(actor, 'release', { roomId, target, token });
    if (pick < 67) return this.#call(actor, 'msg', { roomId, target, token, msg: `m${this.recorder.asked}` });
    if (pick < 85) return this.#write(actor.name, roomId, target, random.chance(0.9) ? token : undefined);
    if (pick < 88) return this.#call(actor, 'force', { roomId, target });
    if (pick < 89) return this.#again(actor, roomId);
    if (pick < 90) return this.#reborn(actor);
    if (pick < 97) this.#time.advance(random.below(random.chance(0.1) ? 1_500 : 60));
    else if (pick < 98) this.#time.stall(random.below(300));
    else this.#time.jump((random.below(7_200) - 3_600) * 1_000);
  }

  /** Biased to holders: mostly the token it was told last, sometimes an older one or somebody else's. */
  #token(actor: Actor, lock: string): number {
    const random = this.random;
    const own = actor.tokens.get(lock) ?? [];
    const last = own.at(-1);
    if (last !== undefined && random.chance(0.8)) return last;
    return own[random.below(own.length)] ?? this.#trace.now * 1024 + random.below(1_000);
  }

  #ttl(): number {
    return 5 + this.random.below(this.random.chance(0.3) ? 100 : 3_000);
  }

  async #acquire(actor: Actor, roomId: string, target: string): Promise<void> {
    const random = this.random;
    const wait = actor.waiting < 3 && random.chance(0.5) ? 1 + random.below(2_500) : undefined;
    const input = { roomId, target, ttl: this.#ttl(), wait, msg: random.chance(0.5) ? 'mine' : undefined };
    // A key makes the SDK send it again after a cut.
    const key = random.chance(0.1) ? `k${this.recorder.asked}` : undefined;
    if (wait === undefined) return this.#call(actor, 'acquire', input, { key });
    const abort = random.chance(0.2) ? new AbortController() : undefined;
    const timeoutMs = random.chance(0.1) ? 1 + random.below(300) : undefined;
    actor.waiting++;
    const waiting = this.#call(actor, 'acquire', input, { key, signal: abort?.signal, timeoutMs }).finally(() => {
      actor.waiting--;
      this.#waits.delete(waiting);
    });
    this.#waits.add(waiting);
    if (abort !== undefined) setTimeout(() => abort.abort(), random.below(30));
    // Whether it has been heard by the time of the next step is left to the network.
    if (random.chance(0.5)) await new Promise((resolve) => setImmediate(resolve));
  }

  async #call(
    actor: Actor,
    call: Call,
    input: { readonly roomId: string; readonly target: string; readonly [more: string]: unknown },
    options: {
      readonly key?: string | undefined;
      readonly signal?: AbortSignal | undefined;
      readonly timeoutMs?: number | undefined;
    } = {},
  ): Promise<void> {
    const { name: who, client, tokens } = actor;
    const lock = lockName(input.roomId, input.target);
    await this.#observe({ who, call, of: lock }, async (op) => {
      const data = Object.fromEntries(Object.entries({ ...input, op }).filter(([, value]) => value !== undefined));
      const { token } = (await client.call(`lock:${call}`, data, { timeoutMs: PATIENCE_MS, ...options })) as {
        readonly token?: number;
      };
      if (call === 'acquire' && token !== undefined) {
        tokens.set(lock, [...(tokens.get(lock) ?? []).slice(-3), token]);
      }
      return token;
    });
  }

  /** A write that the lock guards, by the program or over HTTP. */
  async #write(who: string, roomId: string, target: string, token: number | undefined): Promise<void> {
    const guarded = token === undefined ? 'trajectory:meta' : target;
    const lock = lockName(roomId, guarded);
    await this.#observe({ who, call: 'write', of: lock, token }, async (op) => {
      this.#trace.writes.set(op, { lock, token });
      // A header cannot carry every name a target can have.
      if (this.random.chance(0.2) && /^[ -~]*$/.test(guarded)) {
        await writeGuarded({ port: this.#port, roomId, op, token, target: guarded, timeoutMs: PATIENCE_MS });
      } else {
        const condition = token === undefined ? {} : { lock: { token, target: guarded } };
        await this.#trace.asking({ op, token, lock }, () =>
          this.#server.plugins.rooms.update(roomId, { frameCount: op }, condition),
        );
      }
      return undefined;
    });
  }

  /** Leaves the room with all it holds there, and comes back. */
  async #again({ client }: Actor, roomId: string): Promise<void> {
    const room = client.room(roomId);
    await room.leave().catch(() => undefined);
    await room.join({ create: true }).catch(() => undefined);
  }

  /** Ends its session and begins another. */
  async #reborn(actor: Actor): Promise<void> {
    this.recorder.close(actor.client);
    actor.client = await this.#join(actor.name);
  }

  async #observe(ask: Omit<Ask, 'kind' | 'op'>, run: (op: number) => Promise<number | undefined>): Promise<void> {
    let answer: number | 'ok' = 'ok';
    await this.recorder
      .observe(ask, run, (token) => ({ token }))
      .catch((error: unknown) => {
        answer = codeOf(error);
        // Not an answer of roomwire's: of a closing store, say.
        const foreign = typeof (error as Partial<RoomwireError>).code !== 'number';
        if (foreign && this.restarting === undefined) this.recorder.problem(`${ask.call}: ${String(error)}`);
      });
    this.#done++;
    const what = `${ask.call} ${answer}`;
    this.answers.set(what, (this.answers.get(what) ?? 0) + 1);
  }

  // ---- the others ----------------------------------------------------------------------------------------------

  async #actor(name: string): Promise<Actor> {
    return { name, client: await this.#join(name), tokens: new Map(), waiting: 0 };
  }

  async #join(name: string): Promise<Client> {
    const client = this.connect(name);
    for (let i = 0; i < this.options.rooms; i++) {
      // A join that comes to nothing leaves the client outside, where it is refused: that is tried too.
      await client
        .room(`r${i}`)
        .join({ create: true })
        .catch(() => undefined);
    }
    return client;
  }

  protected override async restart(): Promise<void> {
    const { store } = this.options;
    await this.#server.close();
    // A store that forgets begins its tokens at the clock: one that was set back would not let them grow.
    const behind = this.#trace.now + 1 - this.#time.wall();
    if (store === 'memory' && behind > 0) this.#time.jump(behind);
    this.#trace.restart(store === 'memory');
    this.#server = await this.serve();
    this.proxy.target = this.#port;
  }
}
