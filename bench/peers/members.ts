/**
 * What users of a peer without members write themselves: a map of each room's members, from which a
 * join is answered. The list is of this process, kept by nobody else, and gone with it.
 */
export interface Member {
  readonly id: string;
  readonly name: string;
  readonly joinedAt: number;
  readonly online: number;
}

/** What a join is answered with. */
export interface Joined {
  readonly members: readonly Member[];
  /** Last in its JSON, for the load to find. */
  readonly memberCount: number;
}

export const JOINED = 'member:joined';
export const LEFT = 'member:left';

export class Members<Client> {
  readonly #rooms = new Map<string, Map<Client, Member>>();
  readonly #roomsOf = new Map<Client, Set<string>>();
  #made = 0;

  member(): Member {
    const number = String(++this.#made).padStart(8, '0');
    return { id: `guest-${number}`, name: `Guest ${number}`, joinedAt: Date.now(), online: 1 };
  }

  join(client: Client, room: string, member: Member): Joined {
    let members = this.#rooms.get(room);
    if (members === undefined) this.#rooms.set(room, (members = new Map<Client, Member>()));
    members.set(client, member);
    let rooms = this.#roomsOf.get(client);
    if (rooms === undefined) this.#roomsOf.set(client, (rooms = new Set<string>()));
    rooms.add(room);
    return { members: [...members.values()], memberCount: members.size };
  }

  /** Tells of each room that the client was in. */
  gone(client: Client, told: (room: string, member: Member) => void): void {
    for (const room of this.#roomsOf.get(client) ?? []) {
      const members = this.#rooms.get(room);
      const member = members?.get(client);
      if (members === undefined || member === undefined) continue;
      members.delete(client);
      if (members.size === 0) this.#rooms.delete(room);
      told(room, member);
    }
    this.#roomsOf.delete(client);
  }
}
