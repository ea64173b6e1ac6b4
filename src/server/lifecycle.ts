/** How far a server is on its way from new to closed, what may be asked of it there, and what plugins do at its turns. */
import { RoomwireError } from '../protocol/errors.js';
import type { EngineInfo } from '../protocol/http-answers.js';
import type { Transport } from './transport/transport.js';

type Hook = () => void | Promise<void>;

export class Lifecycle {
  /** `leaving`: about to stop, and serving still. `closing`: it takes no new work, and answers what is under way. */
  phase: 'new' | 'opening' | 'open' | 'leaving' | 'closing' | 'closed' = 'new';
  /** Once so, it stays so: what was built has what only an opened store knows. */
  isStoreOpen = false;
  /** It is a node of a cluster, and opens its store when it becomes the hub. */
  isNode = false;
  /** Undefined before `listen`. */
  engine: EngineInfo | undefined;
  /** Undefined before `listen`. */
  transport: Transport | undefined;
  readonly restoreHooks: Hook[] = [];
  readonly openHooks: Hook[] = [];
  readonly closeHooks: Hook[] = [];

  /** Whether clients are let in. */
  get serves(): boolean {
    return this.phase === 'open' || this.phase === 'leaving';
  }

  requireStore(): void {
    if (!this.isStoreOpen && this.isNode && this.phase === 'opening') {
      throw new RoomwireError('store_unavailable', 'this node is a standby: ask the hub');
    }
    if (!this.isStoreOpen) throw new Error('the server is not listening yet: await server.listen() first');
  }

  /** Throws draining once closed: nothing would keep what is written then. */
  requireWork(): void {
    if (this.phase === 'closed') throw new RoomwireError('draining', 'the server is closed');
    this.requireStore();
  }
}
