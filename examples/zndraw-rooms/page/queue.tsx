/** The room's job queue: a script takes jobs from it, see trajectory.py --work. */
import { useState, type FormEvent } from 'react';
import type { Job } from '../contract.js';
import { roomApi, useApi, useFetched } from './api.js';

export function Queue({ roomId }: { readonly roomId: string }) {
  const { ask, attempt } = useApi();
  const fetched = useFetched<{ jobs: Job[] }>(roomId, 'jobs', 'queue:update');
  const [name, setName] = useState('');
  const add = (event: FormEvent): void => {
    event.preventDefault();
    void attempt(() => ask('POST', `${roomApi(roomId)}/jobs`, { body: { name } }));
    setName('');
  };
  const jobs = fetched?.jobs ?? [];
  return (
    <section className="card queue">
      <div className="head">
        <h2>Jobs</h2>
        <span className="tag">{jobs.length}</span>
      </div>
      <form className="line" onSubmit={add}>
        <input
          aria-label="Work for a script"
          placeholder="Work for a script"
          required
          maxLength={100}
          value={name}
          onChange={(event) => setName(event.target.value)}
        />
        <button>Add</button>
      </form>
      <ul className="list">
        {jobs.map((job) => (
          <li key={job.id} data-testid="job">
            <span>
              {job.name} <span className="quiet">{job.userName}</span>
            </span>
            <span className={job.status === 'running' ? 'pill green' : 'tag'}>{job.status}</span>
            <button
              className="link"
              aria-label={`take ${job.name} away`}
              onClick={() => void attempt(() => ask('DELETE', `${roomApi(roomId)}/jobs/${job.id}`))}
            >
              ✕
            </button>
          </li>
        ))}
      </ul>
    </section>
  );
}
