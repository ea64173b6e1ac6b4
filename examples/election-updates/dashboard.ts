/** The dashboard: loads what there is, then follows `election_updates`. Nothing is asked for twice unless events were missed. */
import { connect } from '@roomwire/client';
import type { Contract, Dashboard } from './contract.js';

const token = location.hash.slice(1);
const roomwire = document.querySelector<HTMLMetaElement>('meta[name=roomwire]')?.content ?? '';
const FEED = 12;

const at = (id: string): HTMLElement => document.getElementById(id) as HTMLElement;
const make = (tag: string, text: string, className = ''): HTMLElement => {
  const element = document.createElement(tag);
  element.textContent = text;
  element.className = className;
  return element;
};

let version = -1;
/** Answers and events come in any order: only what is newer counts. */
function show(dashboard: Dashboard): void {
  if (dashboard.version < version) return;
  version = dashboard.version;
  for (const name of ['guarantees', 'confirmed', 'attended', 'votes'] as const) {
    at(name).textContent = dashboard[name].toLocaleString('en');
  }
  const most = Math.max(1, ...dashboard.results.map(({ votes }) => votes));
  const bars = dashboard.results.map(({ candidate, votes }) => {
    const bar = make('div', '', 'bar');
    const length = make('i', '');
    length.style.width = `${(votes / most) * 100}%`;
    bar.append(make('span', candidate), length, make('b', votes.toLocaleString('en')));
    return bar;
  });
  at('results').replaceChildren(...(bars.length > 0 ? bars : [make('small', 'No votes yet.')]));
}

async function load(): Promise<void> {
  const response = await fetch('/api/dashboard/', { headers: { authorization: `Bearer ${token}` } });
  if (response.ok) show((await response.json()) as Dashboard);
}

function note(action: string, text: string, committee: string): void {
  const line = document.createElement('li');
  line.append(make('span', action, `tag ${action}`), make('span', text), make('small', committee));
  at('feed').prepend(line);
  while (at('feed').children.length > FEED) at('feed').lastElementChild?.remove();
}

const client = connect<Contract>(roomwire.replace(/^http/, 'ws'), { token });
const updates = client.listen('election_updates');
updates.on('dashboard_update', ({ data }) => show(data));
updates.on('reset', () => void load());
type Row = { committee_id: number } | { count: number; committee_ids: number[] };
const told = <R extends Row>(noun: string, describe: (row: Extract<R, { id: number }>) => string) => {
  return ({ action, data }: { action: string; data: R }): void => {
    if ('count' in data) note(action, `${data.count.toLocaleString('en')} ${noun}s imported`, '');
    else note(action, describe(data as Extract<R, { id: number }>), `committee ${data.committee_id}`);
  };
};
updates.on(
  'guarantee_update',
  told('guarantee', ({ voter, status }) => `Guarantee of ${voter}: ${status}`),
);
updates.on(
  'attendance_update',
  told('attendance', ({ voter, present }) => `${voter} ${present ? 'is here' : 'is not here'}`),
);
updates.on(
  'voting_update',
  told('vote', ({ candidate, votes }) => `${votes} votes for ${candidate}`),
);
client.handle('connection_success', ({ user }) => {
  at('user').textContent = user.name;
  // From here on events come: what is loaded now has no hole to them.
  void load();
});
client.state.subscribe(({ status, reason }) => {
  at('state').textContent = status === 'refused' ? `refused: ${reason?.message ?? ''}` : status;
  at('state').className = status;
});
