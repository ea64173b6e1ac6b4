/** The model: the server's and every client's, with what was asked for and is not judged yet. */
import { ClientModel, type Waiting } from './client-model.js';
import { clientNames, GRACE_MS, LEASE_MS } from './plan.js';
import { ServerModel } from './server-model.js';
import type { Outcome } from './real-client.js';

export class Model {
  readonly server = new ServerModel({ graceMs: GRACE_MS, leaseMs: LEASE_MS });
  readonly clients: readonly ClientModel[] = clientNames.map((name) => new ClientModel(name, this.server));
  readonly asked = new Map<Waiting, Outcome>();
  /** Numbers what is published. */
  n = 0;
}

export type Clients = Model['clients'];
