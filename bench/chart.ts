/** The fan-out results of n = 1000, 64 B as a picture: a bar per peer on a logarithmic scale, a group per w. */
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

/** undefined when there is nothing to draw. */
export function chart(rows: readonly Row[]): string | undefined {
  const shown = rows.filter(
    (row) => row.work === 'fanout' && row.n === 1000 && row.bytes === 64 && row.perSecond !== null,
  );
  const windows = [...new Set(shown.map(({ w }) => w))];
  if (shown.length === 0) return undefined;
  const rates = shown.map(({ perSecond }) => perSecond as number);
  const low = Math.floor(Math.log10(Math.min(...rates)) - 0.3);
  const high = Math.ceil(Math.log10(Math.max(...rates)));
  const x = (rate: number): number => LEFT + ((Math.log10(rate) - low) / (high - low)) * (WIDTH - LEFT - RIGHT);
  const parts: string[] = [];
  let y = 34;
  const text = (at: number, line: string, attributes = ''): void =>
    void parts.push(`<text x="${at.toFixed(1)}" y="${y}" ${attributes}>${line}</text>`);
  y = 20;
  text(0, 'Deliveries per second, 1000 subscribers, 64-byte events (logarithmic)', 'class="title"');
  for (const w of windows) {
    y += GROUP;
    text(0, `w = ${w}: ${w === 1 ? 'one event' : `${w} events`} at a time`, 'class="note"');
    y += 8;
    for (const row of shown.filter((candidate) => candidate.w === w)) {
      const rate = row.perSecond as number;
      y += BAR;
      const own = row.peer === 'roomwire';
      text(LEFT - 8, keyOf(row), `text-anchor="end"${own ? ' class="title"' : ''}`);
      parts.push(
        `<rect class="${own ? 'own' : 'bar'}" x="${LEFT}" y="${y - BAR + 5}" width="${(x(rate) - LEFT).toFixed(1)}" height="${BAR - 4}"/>`,
      );
      text(x(rate) + 6, count(rate));
      y += GAP;
    }
  }
  const bottom = y + 8;
  const grid: string[] = [];
  for (let power = low; power <= high; power++) {
    const at = x(10 ** power).toFixed(1);
    grid.push(`<line class="grid" x1="${at}" y1="32" x2="${at}" y2="${bottom}"/>`);
  }
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${bottom + 4}" width="${WIDTH}">
<style>${style}</style>
${[...grid, ...parts].join('\n')}
</svg>
`;
}
