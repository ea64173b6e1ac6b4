/** The locks panel: who holds what in all rooms, for how long still, and the way to end it. */
import type { WatchedLock, WatchedLocks } from '../../protocol/http-answers.js';
import type { Admin } from './admin.js';
import { confirmed } from './confirm.js';
import type { Panel } from './dock.js';
import { byId, count, h, seconds, setText } from './dom.js';
import { isolated } from './isolated.js';
import { KeyedRows, type Row } from './keyed-rows.js';
import { attempt, textOf } from './notices.js';
import { Poll } from './poll.js';
import { hashOf } from './route.js';

const SOON_MS = 5_000;

export class HoldersPanel implements Panel {
  readonly #admin: Admin;
  readonly #rows: KeyedRows<WatchedLock>;
  readonly #poll = new Poll(() => this.#ask());
  #locks: readonly WatchedLock[] = [];
  /** The server's clock minus this tab's. */
  #lead = 0;

  constructor(admin: Admin) {
    this.#admin = admin;
    this.#rows = new KeyedRows(
      byId('lock-rows', HTMLTableSectionElement),
      ({ roomId, target, timestamp }) => JSON.stringify([roomId, target, timestamp]),
      (key) => this.#row(key),
    );
  }

  show(): void {
    this.#poll.start();
    this.#poll.now();
  }

  hide(): void {
    this.#poll.stop();
  }

  /** Called a few times a second: leases run down between two answers. */
  tick(): void {
    this.#rows.show(this.#locks);
  }

  async #ask(): Promise<void> {
    if (this.#admin.rights === 'refused') return;
    const status = byId('locks-status', HTMLSpanElement);
    try {
      const { now, total, locks } = await this.#admin.ask<WatchedLocks>('/api/locks');
      setText(status, '');
      this.#lead = now - Date.now();
      this.#locks = locks;
      const shown = total > locks.length && locks.length > 0 ? `; the ${locks.length} held longest are shown` : '';
      const what = locks.length === 0 ? 'No lock is held.' : `${count(total, 'lock')} held${shown}`;
      setText(byId('locks-count', HTMLSpanElement), what);
      this.#rows.show(locks);
    } catch (error) {
      // Without rooms there are no locks to ask for.
      const none = (error as { readonly status?: number }).status === 404;
      setText(status, none ? 'This server has no rooms, so no locks.' : `No answer, trying again: ${textOf(error)}`);
    }
  }

  #row(key: string): Row<WatchedLock> {
    const [roomId, target] = JSON.parse(key) as [string, string];
    const cell = (kind = ''): HTMLTableCellElement => h('td', { class: kind });
    const [holder, msg, held, left, waiting] = [cell(), cell(), cell('number'), cell('number'), cell('number')];
    const release = h('button', { type: 'button', 'aria-label': `Release ${target} in ${roomId}` }, 'Release…');
    release.addEventListener('click', () => attempt(() => this.#release(roomId, target)));
    const element = h(
      'tr',
      { 'data-testid': 'lock', 'data-room': roomId },
      h('th', { scope: 'row' }, h('a', { href: hashOf(roomId) }, roomId)),
      h('td', {}, h('code', {}, target)),
      holder,
      msg,
      held,
      left,
      waiting,
      h('td', { class: 'number' }, release),
    );
    return {
      element,
      show: (lock) => {
        const now = Date.now() + this.#lead;
        const ms = lock.expiresAt - now;
        setText(holder, lock.sid === null ? `${isolated(lock.userName)} (over HTTP)` : lock.userName);
        holder.title = lock.sid === null ? isolated(lock.userId) : `${isolated(lock.userId)}, session ${lock.sid}`;
        setText(msg, lock.msg ?? '');
        setText(held, seconds(now - lock.timestamp * 1_000));
        setText(left, seconds(ms));
        element.dataset['left'] = ms < SOON_MS ? 'soon' : '';
        setText(waiting, String(lock.waiting));
      },
    };
  }

  async #release(roomId: string, target: string): Promise<void> {
    const question = `Release ${isolated(target)} in ${isolated(roomId)}? Its holder loses it, and what they write under it is refused.`;
    if (!(await confirmed(question, 'Release'))) return;
    const path = `/api/rooms/${encodeURIComponent(roomId)}/locks/${encodeURIComponent(target)}?force=true`;
    await this.#admin.ask(path, { method: 'DELETE' });
    this.#poll.now();
  }
}
