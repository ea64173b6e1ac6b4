/** Results as pictures: a bar for each contestant, a group for each load. */
import { keyOf } from './contestants.js';
import type { Row } from './result.js';
import { count } from './table.js';

const WIDTH = 760;
const LEFT = 150;
const RIGHT = 150;
const BAR = 18;
const GAP = 6;
const GROUP = 34;

const style = `text { font: 13px system-ui, sans-serif; fill: #1f2328 }
.title { font-weight: 600 } .note { fill: #59636e } .bar { fill: #afb8c1 } .own { fill: #1f883d } .grid { stroke: #d1d9e0 }
@media (prefers-color-scheme: dark) {
  text { fill: #f0f6fc } .note { fill: #9198a1 } .bar { fill: #656c76 } .own { fill: #3fb950 } .grid { stroke: #3d444d }
}`;

interface Group {
  readonly note: string;
  readonly rows: readonly Row[];
}

/** How far a rate's bar reaches, 0 to 1, and where lines are drawn through all groups. */
interface Scale {
  readonly reach: (rate: number, group: Group) => number;
  readonly lines: readonly number[];
}

/** A thousand subscribers of one topic; undefined when there is nothing to draw. */
export function fanoutChart(rows: readonly Row[]): string | undefined {
  const shown = rows.filter(({ work, n, bytes }) => work === 'fanout' && n === 1000 && bytes === 64);
  const groups = [...new Set(shown.map(({ w }) => w))].map((w) => ({
    note: `w = ${w}: ${w === 1 ? 'one event' : `${w} events`} at a time`,
    rows: shown.filter((row) => row.w === w),
  }));
  return draw('Deliveries per second, 1000 subscribers, 64-byte events (logarithmic)', groups, logarithmic(shown));
}

/** Many rooms of three, and one of ten; undefined when there is nothing to draw. */
export function roomsChart(rows: readonly Row[]): string | undefined {
  const shown = rows.filter(({ work }) => work === 'rooms');
  const cells = [...new Set(shown.map(({ n, w }) => `${n} ${w}`))].map((cell) => cell.split(' ').map(Number));
  const groups = cells.map(([n = 0, w = 0]) => ({
    note: `${n === 1 ? 'one room of 10' : `${n.toLocaleString('en-US')} rooms of 3`}, ${w === 1 ? 'one event' : `${w} events`} at a time`,
    rows: shown.filter((row) => row.n === n && row.w === w),
  }));
  return draw('Deliveries per second, small rooms, 64-byte events (each group to its own scale)', groups, linear);
}

function logarithmic(rows: readonly Row[]): Scale {
  const rates = rows.map(({ perSecond }) => perSecond as number);
  const low = Math.floor(Math.log10(Math.min(...rates)) - 0.3);
  const high = Math.ceil(Math.log10(Math.max(...rates)));
  return {
    reach: (rate) => (Math.log10(rate) - low) / (high - low),
    lines: rows.length === 0 ? [] : Array.from({ length: high - low + 1 }, (_, i) => i / (high - low)),
  };
}

const linear: Scale = {
  reach: (rate, { rows }) => rate / Math.max(...rows.map(({ perSecond }) => perSecond as number)),
  lines: [0],
};

function draw(title: string, groups: readonly Group[], { reach, lines }: Scale): string | undefined {
  if (groups.length === 0) return undefined;
  const at = (share: number): number => LEFT + share * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = 20;
  const text = (x: number, line: string, attributes = ''): void =>
    void parts.push(`<text x="${x.toFixed(1)}" y="${y}" ${attributes}>${line}</text>`);
  text(0, title, 'class="title"');
  for (const group of groups) {
    y += GROUP;
    text(0, group.note, 'class="note"');
    y += 8;
    for (const row of group.rows) {
      const rate = row.perSecond as number;
      const end = at(reach(rate, group));
      const own = row.peer === 'roomwire';
      y += BAR;
      text(LEFT - 8, keyOf(row), `text-anchor="end"${own ? ' class="title"' : ''}`);
      parts.push(
        `<rect class="${own ? 'own' : 'bar'}" x="${LEFT}" y="${y - BAR + 5}" width="${(end - LEFT).toFixed(1)}" height="${BAR - 4}"/>`,
      );
      text(end + 6, count(rate));
      y += GAP;
    }
  }
  const bottom = y + 8;
  const grid = lines.map((share) => {
    const x = at(share).toFixed(1);
    return `<line class="grid" x1="${x}" y1="32" x2="${x}" y2="${bottom}"/>`;
  });
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 4}" width="${WIDTH}">
<style>${style}</style>
${[...grid, ...parts].join('\n')}
</svg>
`;
}
