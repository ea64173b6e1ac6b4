/**
 * Topics followed over HTTP, by those who have no session: nobody sees them, and no `matched` counts them. Each is judged as a
 * SUBSCRIBE would be, has a place within the bounds, and loses it when it goes, when its rights end, or when the topic does.
 */
import { RoomwireError } from '../../protocol/errors.js';
import type { Position, TopicStatus } from '../../protocol/frames.js';
import type { LogChunk, MaybePromise } from '../../store/store.js';
import type { FollowedEvents, FollowOptions, HttpCaller, LiveOptions, PollOptions, StreamedBody } from '../api.js';
import { historyOf } from '../diagnosis/history.js';
import type { Authenticator } from '../gate/auth.js';
import type { TopicWatcher } from '../hub/fan-out.js';
import type { Hub } from '../hub/hub.js';
import type { Topic } from '../hub/topic.js';
import type { Policy } from '../policy.js';
import type { Timer } from '../time/wheel.js';
import { inTurns } from '../transport/turns.js';
import { Encoded } from './encoded.js';
import { Followed, type Follower } from './followed.js';
import { Places } from './places.js';
import { Reader, type ReaderOwner } from './reader.js';
import { Waiting } from './waiting.js';

/** Ms one turn may write to readers; the rest gets the next, and input is read in between. */
const TURN_MS = 25;
const NONE: ReadonlySet<string> = new Set();

export interface LiveParts {
  readonly hub: Hub;
  readonly policy: Policy;
  readonly auth: Pick<Authenticator, 'msLeft'>;
  readonly limits: LiveOptions;
  /** Ms between two signs of life, and the longest wait of a poll. */
  readonly pingEvery: number;
  readonly after: (ms: number, fn: () => void) => Timer;
  /** Runs `fn` at the end of the turn. */
  readonly defer: (fn: () => void) => void;
  readonly failed: (error: unknown) => void;
}

/** What a follower holds. */
interface Held {
  /** Gives its place back. */
  readonly leave: () => void;
  readonly expiry: Timer | undefined;
}

export class Live implements TopicWatcher, ReaderOwner {
  readonly encoded = new Encoded();
  readonly #parts: LiveParts;
  readonly #places: Places;
  readonly #topics = new Map<string, Followed>();
  readonly #held = new Map<Follower, Held>();
  #dirty = new Set<Reader>();
  #isScheduled = false;
  #isDraining = false;

  /** Throws a TypeError for a limit that is none. */
  constructor(parts: LiveParts) {
    this.#parts = parts;
    this.#places = new Places(parts.limits);
    parts.hub.fanOut.watcher = this;
  }

  /** How many there are, with those that are being let in. */
  get readers(): number {
    return this.#places.taken;
  }

  // ---- what is asked ---------------------------------------------------------------------------------

  async follow(name: string, options: FollowOptions): Promise<StreamedBody> {
    const { format, caller } = options;
    return this.#enter(
      name,
      options,
      (followed, status) => new Reader(this, followed, { ...status, format, userId: userOf(caller) }),
    );
  }

  async poll(name: string, options: PollOptions): Promise<FollowedEvents> {
    const { hub, after, pingEvery } = this.#parts;
    const { from, limit, caller } = options;
    let standing: TopicStatus | undefined;
    const waiting = await this.#enter(name, options, (followed, status) => {
      standing = status;
      return new Waiting(followed, userOf(caller), { after, ms: pingEvery, gone: (one) => this.gone(one) });
    });
    const { epoch, offset, recovered } = standing as TopicStatus;
    // Without a position there is one to be told: nobody knows yet what to wait for.
    if (from === undefined || !recovered || offset < waiting.followed.head) waiting.grown();
    await waiting.until;
    const history = await historyOf(hub, name, { after: offset, limit });
    const [first] = history.events;
    const isWhole = first === undefined ? history.head === offset : first.offset === offset + 1;
    if (recovered && history.epoch === epoch && isWhole) {
      const position: Position = [epoch, history.events.at(-1)?.offset ?? offset];
      return { ...history, position, reset: false };
    }
    this.counters.resets++;
    return { ...history, events: [], position: [history.epoch, history.head], reset: true };
  }

  /** Lets one in who may subscribe. `make` runs in the block of a commit: what comes after it is not missed. */
  async #enter<F extends Follower>(
    name: string,
    { caller, address, from, gone }: Omit<FollowOptions, 'format'>,
    make: (followed: Followed, status: TopicStatus) => F,
  ): Promise<F> {
    const leave = this.#places.take(caller, address);
    let follower: F | undefined;
    let isGone = false;
    gone(() => {
      isGone = true;
      follower?.closed();
    });
    try {
      await this.#judge(name, caller);
      return await new Promise((resolve, reject) => {
        this.#parts.hub.perform(
          (tx) => tx.standing(name, typeof from === 'number' ? [tx.position(name)[0], from] : (from ?? null)),
          (status) => {
            // Nobody may be there any more, or be let in (rule 1).
            if (isGone) return reject(new RoomwireError('disconnected'));
            if (this.#isDraining) return reject(new RoomwireError('draining'));
            const followed = this.#followed(name);
            const { epoch, head } = followed;
            // It may have been deleted, and made anew, by the same batch.
            follower = make(followed, epoch === status.epoch ? status : { epoch, offset: head, recovered: false });
            this.#add(follower, caller, leave);
            resolve(follower);
          },
          reject,
        );
      });
    } catch (error) {
      leave();
      throw error;
    }
  }

  /** As a SUBSCRIBE of this user's would be. Throws unknown_topic, join_required and forbidden. */
  async #judge(name: string, { kind, user }: HttpCaller): Promise<void> {
    const { policy } = this.#parts;
    policy.topic(name);
    if (kind !== 'user') return;
    const asker = { sid: '', user, connected: true, ended: false, topics: NONE };
    if (!(await policy.maySubscribe(asker, name))) throw new RoomwireError('forbidden');
  }

  #followed(name: string): Followed {
    let followed = this.#topics.get(name);
    if (followed === undefined) {
      // There while the batch is applied that has asked where it stands.
      followed = new Followed(this.#parts.hub.topic(name) as Topic);
      this.#topics.set(name, followed);
    }
    return followed;
  }

  #add(follower: Follower, { expiresAt = null }: HttpCaller, leave: () => void): void {
    const { after, auth } = this.#parts;
    const expire = (): void => follower.end(new RoomwireError('token_expired'));
    const expiry = expiresAt === null ? undefined : after(auth.msLeft(expiresAt), expire);
    this.#held.set(follower, { leave, expiry });
    follower.followed.followers.add(follower);
  }

  /** Ends what a user follows; how many. */
  unfollow(userId: string, reason = 'ended by the server'): number {
    const theirs = [...this.#held.keys()].filter((follower) => follower.userId === userId);
    for (const follower of theirs) follower.end(new RoomwireError('forbidden', reason));
    return theirs.length;
  }

  /** Sends all away, in turns, to come again at moments within `spreadMs`, and lets in nobody any more. */
  drain(spreadMs: number): Promise<void> {
    this.#isDraining = true;
    return inTurns([...this.#held.keys()], (follower) => follower.end(new RoomwireError('draining'), spreadMs));
  }

  // ---- TopicWatcher ------------------------------------------------------------------------------------

  epochOf(name: string): string | undefined {
    return this.#topics.get(name)?.epoch;
  }

  grown(topic: Topic, dropped: boolean): void {
    const followed = this.#topics.get(topic.name);
    if (followed === undefined || (dropped && followed.epoch !== topic.epoch)) return;
    if (dropped) this.#topics.delete(topic.name);
    followed.grown(topic, dropped);
  }

  // ---- ReaderOwner -------------------------------------------------------------------------------------

  get counters() {
    return this.#parts.hub.fanOut.counters;
  }

  get pingEvery(): number {
    return this.#parts.pingEvery;
  }

  get maxMs(): number {
    return this.#places.limits.maxMs;
  }

  after(ms: number, fn: () => void): Timer {
    return this.#parts.after(ms, fn);
  }

  read(topic: string, from: number, maxBytes: number): MaybePromise<readonly LogChunk[]> {
    return this.#parts.hub.fanOut.read(topic, from, maxBytes);
  }

  gone(follower: Follower): void {
    const held = this.#held.get(follower);
    if (held === undefined) return;
    this.#held.delete(follower);
    held.leave();
    held.expiry?.cancel();
    const { followed } = follower;
    followed.followers.delete(follower);
    if (followed.followers.size === 0 && this.#topics.get(followed.name) === followed)
      this.#topics.delete(followed.name);
  }

  wake(reader: Reader): void {
    this.#dirty.add(reader);
    this.#schedule();
  }

  #schedule(): void {
    if (this.#isScheduled || this.#dirty.size === 0) return;
    this.#isScheduled = true;
    this.#parts.defer(() => this.#turn());
  }

  #turn(): void {
    this.#isScheduled = false;
    const readers = this.#dirty;
    // Those that ask again meanwhile get the next turn.
    this.#dirty = new Set();
    const deadline = performance.now() + TURN_MS;
    let done = 0;
    for (const reader of readers) {
      readers.delete(reader);
      try {
        reader.feed();
      } catch (error) {
        this.#parts.failed(error);
        // Nothing of its would be right any more; it comes back to where it was.
        reader.rest();
      }
      if ((++done & 15) === 0 && performance.now() >= deadline) break;
    }
    if (readers.size > 0) this.#dirty = new Set([...readers, ...this.#dirty]);
    this.#schedule();
  }
}

/** Undefined for a backend, and for guests, each of whom is another at each request. */
function userOf({ kind, user }: HttpCaller): string | undefined {
  return kind === 'user' ? user.id : undefined;
}
