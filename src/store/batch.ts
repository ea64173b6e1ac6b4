/**
 * The rules of a batch that every store keeps in the same way: which names fit and which chunk may
 * follow a topic's head. Who calls it: the stores, before they change anything.
 */
import { StoreError, storeLimits, type Operation, type TopicRecord } from './store.js';

export type Append = Extract<Operation, { type: 'append' }>;

/** The topic as it is after the chunk; throws `refused` when the chunk does not follow its head. */
export function appended(record: TopicRecord | undefined, { topic, epoch, chunk }: Append): TopicRecord {
  const { head, tail } = record ?? { head: 0, tail: 1 };
  if (record !== undefined && record.epoch !== epoch) {
    throw new StoreError('refused', `topic ${topic} has epoch ${record.epoch}, not ${epoch}: drop it first`);
  }
  if (chunk.first !== head + 1) {
    throw new StoreError('refused', `topic ${topic} is at ${head}: a chunk at ${chunk.first} does not follow`);
  }
  if (!(Number.isSafeInteger(chunk.count) && chunk.count >= 1 && chunk.count <= 0xffff_ffff)) {
    throw new StoreError('refused', `topic ${topic}: a chunk of ${chunk.count} events`);
  }
  return { epoch, head: head + chunk.count, tail };
}

/** Throws `refused` when an operation names something that does not fit a store. */
export function checkNames(operation: Operation): void {
  if (operation.type === 'put' || operation.type === 'delete') {
    checkName('table', operation.table);
    checkName('key', operation.key);
  } else {
    checkName('topic', operation.topic);
  }
}

function checkName(what: keyof typeof storeLimits, name: string): void {
  if (!fits(what, name)) {
    const { length } = name;
    throw new StoreError('refused', `a ${what} of ${length} characters is longer than ${storeLimits[what]} bytes`);
  }
}

export function fits(what: keyof typeof storeLimits, name: string): boolean {
  const limit = storeLimits[what];
  // A UTF-16 unit is at most three bytes: most names need no count.
  return name.length * 3 <= limit || Buffer.byteLength(name) <= limit;
}
