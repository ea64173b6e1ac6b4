/** What the page knows of the server's contract: rooms with chat. Types only, so no schema is bundled. */
import type { Client, Room } from '../../client/index.js';
import type { Contract, ShapeOf } from '../../protocol/contract.js';
import type { roomsContract } from '../../protocol/rooms-contract.js';

export interface ChatMessage {
  readonly user: string;
  readonly text: string;
  /** Ms since the Unix epoch, by the sender's clock. */
  readonly at: number;
}

type Rooms = ShapeOf<ReturnType<typeof roomsContract>>;

// A type and not an interface: a shape needs the index signature that only types get by themselves.
type Shape = {
  topics: {
    'overview:{group}': Rooms['topics']['overview:{group}'];
    'room:{id}': Rooms['topics']['room:{id}'] & { 'chat:message:new': ChatMessage };
  };
  calls: Rooms['calls'];
};

export type PageContract = Contract<Shape>;
export type PageClient = Client<Shape>;
export type PageRoom = Room<Shape>;
/** The same client for names that a person types. */
export type FreeClient = Client;

/** The lock whose holder is part of the room's metadata. */
export const LOCK_TARGET = 'trajectory:meta';
