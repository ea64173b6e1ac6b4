/** Who is in the room, and who presents. */
import { useConnection, useRoom } from '@roomwire/client/react';
import { useApi } from './api.js';
import type { Player } from './player.js';

export function People({ roomId, player }: { readonly roomId: string; readonly player: Player }) {
  const { members, memberCount, presenter, host, room } = useRoom(roomId);
  const { status } = useConnection();
  const { userId, attempt } = useApi();
  const { presenting, following, follow } = player;
  return (
    <section className="card people">
      <div className="head">
        <h2>People</h2>
        <span className="tag">{memberCount}</span>
        {presenter === null && (
          <button disabled={status !== 'live'} onClick={() => void attempt(async () => room?.presenter.take())}>
            Present
          </button>
        )}
        {presenting && (
          <button onClick={() => void attempt(async () => room?.presenter.release())}>Stop presenting</button>
        )}
        {presenter !== null && !presenting && (
          <label>
            <input type="checkbox" checked={following} onChange={(event) => follow(event.target.checked)} />
            follow {presenter.userName}
          </label>
        )}
      </div>
      <ul className="list">
        {members.map((member) => (
          <li key={member.userId} data-testid="member" className={member.online > 0 ? '' : 'away'}>
            <b>{member.name}</b>
            {member.userId === userId && <span className="tag">you</span>}
            {host?.userId === member.userId && <span className="tag">host</span>}
            {presenter?.userId === member.userId && <span className="pill green">presents</span>}
          </li>
        ))}
      </ul>
    </section>
  );
}
