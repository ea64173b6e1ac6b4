/**
 * What clients of the servers without a protocol of their own (uws, ws) ask for, by the first byte
 * of a message. Any other message is sent back as it is.
 */
import { topicName } from './names.js';

export const Ask = {
  /** Topics' names, a line each; answered when they are subscribed. */
  SUBSCRIBE: 0x01,
  /** A topic's name, then the event. */
  PUBLISH: 0x02,
  /** A room's name; answered with its members. */
  JOIN: 0x03,
} as const;

/** The answer to SUBSCRIBE. */
export const SUBSCRIBED = Uint8Array.of(Ask.SUBSCRIBE);

const NAME_BYTES = topicName(0).length;

export const subscribing = (topics: readonly number[]): Buffer =>
  Buffer.from(`\x01${topics.map((topic) => topicName(topic)).join('\n')}`);
export const publishing = (topic: number, event: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from(`\x02${topicName(topic)}`), event]);
export const joining = (topic: number): Buffer => Buffer.from(`\x03${topicName(topic)}`);

export const topicsOf = (message: Buffer): readonly string[] => message.toString('latin1', 1).split('\n');
export const publishedTo = (message: Buffer): string => message.toString('latin1', 1, 1 + NAME_BYTES);
export const published = (message: Buffer): Buffer => message.subarray(1 + NAME_BYTES);
export const joinedRoom = (message: Buffer): string => message.toString('latin1', 1);
