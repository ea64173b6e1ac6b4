/**
 * ROOMWIRE_STORE=replicated: the stores of the suite are nodes alone in a cluster, on a log in memory that answers late at random,
 * and loses requests and answers, or gets them late or twice. What SEED has decides which. It becomes the hub quickly.
 */
import { replicatedStore, type ReplicatedStore } from '../../src/journal/replicated.js';
import type { ReplicatedOptions } from '../../src/journal/settings.js';
import { memoryStore } from '../../src/store/memory.js';
import type { Store } from '../../src/store/store.js';
import { environmentSeed, random as seeded } from '../random.js';
import { MemoryEngine, type Fault } from './memory-journal.js';

/** Of so many appends one has an unknown outcome. */
const FAULT_EVERY = 20;
const FAULTS: readonly Fault[] = ['lost-request', 'lost-reply', 'twice', 'late'];
/** So much faster than it would, a node looks whether it is to be the hub. */
const HASTE = 25;

/** True time, but for what is done again and again. */
export const hastyTime: Required<ReplicatedOptions>['time'] = {
  wall: () => Date.now(),
  monotonic: () => performance.now(),
  every(ms, fn) {
    const timer = setInterval(fn, ms / HASTE);
    return () => clearInterval(timer);
  },
};

let seed: number | undefined;

/** `time`: the server's, where a test drives it. */
export function replicatedTestStore(time: { wall(): number } = hastyTime): Store {
  if (seed === undefined) {
    seed = environmentSeed();
    process.stdout.write(`# SEED=${seed}\n`);
  }
  const random = seeded(seed++);
  const engine: MemoryEngine = new MemoryEngine({
    // Small, so that some batches are in parts.
    maxBytes: 16 * 1024,
    async delay() {
      for (let turns = random.below(4); turns > 0; turns--) await new Promise((resolve) => setImmediate(resolve));
      if (random.chance(0.5)) engine.deliver();
    },
    fault: () => (random.chance(1 / FAULT_EVERY) ? FAULTS[random.below(FAULTS.length)] : undefined),
  });
  const options = { node: 'alone', time: { ...hastyTime, wall: () => time.wall() }, snapshotBytes: 64 * 1024 };
  return plain(replicatedStore(memoryStore(), () => engine.journal(), options));
}

/** Tests put others in place of its methods, as an object without a class allows. */
function plain(store: ReplicatedStore): Store {
  return {
    name: store.name,
    durable: store.durable,
    open: (options) => store.open(options),
    commit: (batch) => store.commit(batch),
    confirm: () => store.confirm?.(),
    topic: (name) => store.topic(name),
    read: (topic, from, maxBytes) => store.read(topic, from, maxBytes),
    get: (table, key) => store.get(table, key),
    list: (table, options) => store.list(table, options),
    topics: (options) => store.topics(options),
    snapshot: () => store.snapshot(),
    restore: (parts) => store.restore(parts),
    onLost: (told) => store.onLost?.(told),
    close: () => store.close(),
  };
}
