/**
 * The open connections. Each new one may stay or is closed with the reason; what it reports finds who answers it; and
 * what ends leaves the numbers.
 */
import { messageOf } from '../../protocol/code-texts.js';
import { SUBPROTOCOL } from '../../protocol/frames.js';
import type { Stats } from '../api.js';
import type { Doorkeeper } from '../gate/doorkeeper.js';
import type { Entrance } from '../gate/entrance.js';
import { isProbe, type OwnKey } from '../gate/own-key.js';
import type { Rates } from '../gate/rates.js';
import type { Sessions } from '../sessions/life.js';
import type { Account } from '../sessions/session.js';
import type { Welcomer } from '../sessions/welcome.js';
import type { Socket, UpgradeInfo } from '../transport/transport.js';
import { inTurns } from '../transport/turns.js';
import { eventOfClose, eventOfError, type Audit, type Incident } from '../watch/audit.js';
import { Connection, type ConnectionOwner } from './connection.js';
import type { Dispatcher } from './dispatch.js';

/** What connections need of the server, less what is answered here. */
export type ConnectionParts = Omit<ConnectionOwner, 'hello' | 'frame' | 'closed' | 'refused' | 'strays' | 'closing'>;

export interface ConnectionsOptions extends ConnectionParts {
  readonly welcomer: Welcomer;
  readonly dispatcher: Dispatcher;
  readonly sessions: Sessions;
  readonly door: Doorkeeper;
  readonly entrance: Entrance;
  readonly ownKey: OwnKey;
  readonly rates: Rates;
  readonly audit: Audit;
  /** Whether the server lets clients in. */
  readonly serves: () => boolean;
}

export class Connections {
  readonly #options: ConnectionsOptions;
  readonly #owner: ConnectionOwner;
  readonly #open = new Set<Connection>();
  /** The probe's own: under no limit and in no number. */
  readonly #probing = new Set<Connection>();

  constructor(options: ConnectionsOptions) {
    this.#options = options;
    const { welcomer, dispatcher, sessions, door, rates, counters } = options;
    this.#owner = {
      ...options,
      hello: (connection, bytes, start) => welcomer.hello(connection, bytes, start),
      frame: (connection, bytes, start, end) => dispatcher.frame(connection, bytes, start, end),
      closed: (connection, code, reason) => {
        this.#open.delete(connection);
        if (!this.#probing.delete(connection)) door.closed(connection.address);
        if (!isProbe(connection.session)) counters.closed(code);
        sessions.closed(connection, code, reason);
      },
      strays: (session, weight, now) => rates.stray(weight, session, session.account as Account, now),
      refused: (connection, error, target) =>
        this.#refused(connection, { event: eventOfError(error), target, code: error.name, reason: messageOf(error) }),
      closing: (connection, code, reason) => {
        // Who says goodbye, or is told to come again, was not refused.
        const event = eventOfClose(code);
        if (event !== undefined) this.#refused(connection, { event, code, reason });
      },
    };
  }

  open(socket: Socket, upgrade: UpgradeInfo): Connection {
    const { door, entrance, ownKey, serves } = this.#options;
    const info = { ...upgrade, address: door.addressOf(upgrade.address, upgrade.forwardedFor) };
    const connection = new Connection(socket, info, this.#owner);
    this.#open.add(connection);
    if (ownKey.isIn(info.authorization)) this.#probing.add(connection);
    else door.opened(info.address);
    const forbidden = entrance.forbids(info);
    if (!info.subprotocols.includes(SUBPROTOCOL)) connection.close('bad_subprotocol');
    else if (forbidden !== undefined) connection.close('forbidden', forbidden);
    else if (!serves()) connection.close('draining');
    return connection;
  }

  /** Whether something of one of them is still to be answered. */
  get underWay(): boolean {
    for (const connection of this.#open) if (connection.underWay) return true;
    return false;
  }

  /** Says goodbye to all, in turns; their next tries are spread over `spreadMs`. */
  drain(spreadMs: number): Promise<void> {
    return inTurns([...this.#open], (connection) => connection.close('draining', undefined, spreadMs));
  }

  /** Looks at every connection. */
  stats(): Pick<Stats, 'connections' | 'stalled' | 'behind'> {
    let stalled = 0;
    let behind = 0;
    for (const { outbox } of this.#open) {
      if (outbox.stalled) stalled++;
      behind += outbox.behind;
    }
    return { connections: this.#open.size - this.#probing.size, stalled, behind };
  }

  #refused({ address, session }: Connection, what: Incident): void {
    this.#options.audit.add({ ...what, address, user: session?.user.id, sid: session?.sid });
  }
}
