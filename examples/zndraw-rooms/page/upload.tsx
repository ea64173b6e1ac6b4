/** Appends frames under the room's lock: all others see who writes, what, and how far it is, and cannot write meanwhile. */
import { useEffect, useState, type ChangeEvent, type FormEvent } from 'react';
import type { Lock } from '@roomwire/client';
import { useLock, useRoom } from '@roomwire/client/react';
import type { Frame } from '../contract.js';
import { roomApi, useApi } from './api.js';
import { useNotice } from './notices.js';
import { buckyball, readXyz } from './trajectories.js';

const TARGET = 'trajectory:meta';
/** Frames of one request, and atoms: the server takes 4 MiB. */
const FRAMES = 20;
const ATOMS = 40_000;

export function Upload({ roomId }: { readonly roomId: string }) {
  const { metadata } = useRoom(roomId);
  const { status, holder, lock, error, acquire, release } = useLock(roomId, TARGET);
  const { ask, attempt } = useApi();
  const notice = useNotice();
  const [message, setMessage] = useState('');
  useEffect(() => {
    if (error !== undefined) notice(error.message);
  }, [error, notice]);

  const append = async (held: Lock, name: string, frames: readonly Frame[]): Promise<void> => {
    const most = Math.max(...frames.map(({ numbers }) => numbers.length));
    const atOnce = Math.max(1, Math.min(FRAMES, Math.floor(ATOMS / most)));
    for (let done = 0; done < frames.length; done += atOnce) {
      const body = { frames: frames.slice(done, done + atOnce) };
      await ask('POST', `${roomApi(roomId)}/frames`, { body, lock: held.token });
      await held.message(`Uploading ${name}: ${done + body.frames.length} of ${frames.length}`);
    }
  };
  const upload = (name: string, frames: readonly Frame[]) =>
    attempt(async () => {
      if (lock !== null) return append(lock, name, frames);
      const held = await acquire({ msg: `Uploading ${name}` });
      if (held === null) return;
      try {
        await append(held, name, frames);
      } finally {
        await release();
      }
    });
  const choose = (event: ChangeEvent<HTMLInputElement>): void => {
    const [file] = event.target.files ?? [];
    event.target.value = '';
    if (file !== undefined) void attempt(async () => upload(file.name, readXyz(await file.text())));
  };
  const take = (event: FormEvent): void => {
    event.preventDefault();
    void acquire({ msg: message.trim() || null });
    setMessage('');
  };

  const closed = metadata?.locked === true || status === 'other' || status === 'waiting';
  return (
    <section className="card upload" data-testid="upload" data-lock={status}>
      <div className="head">
        <h2>Upload</h2>
        {status === 'mine' && <span className="tag">you hold the lock</span>}
      </div>
      <div className="line">
        <label className="button" aria-disabled={closed}>
          .xyz file
          <input type="file" aria-label="A trajectory, .xyz" accept=".xyz" onChange={choose} disabled={closed} />
        </label>
        <button onClick={() => void upload('buckyball', buckyball(120))} disabled={closed} data-testid="upload-demo">
          Buckyball
        </button>
      </div>
      {status === 'mine' ? (
        <button onClick={() => void release()} data-testid="release">
          Release the lock
        </button>
      ) : (
        <form className="line" onSubmit={take}>
          <input
            aria-label="Why you take the lock"
            placeholder="Or keep others out, why?"
            maxLength={500}
            value={message}
            onChange={(event) => setMessage(event.target.value)}
            disabled={closed}
          />
          <button disabled={closed} data-testid="take">
            Lock
          </button>
        </form>
      )}
      <p className="quiet small" data-testid="lock-state">
        {metadata?.locked === true && 'The room is locked for good.'}
        {status === 'other' && `${holder?.userName ?? 'Somebody'} writes. You can when it is done.`}
      </p>
    </section>
  );
}
