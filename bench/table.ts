/** Results as text: one table per work, with the columns that work has something for. */
import type { Row } from './result.js';

interface Column {
  readonly title: string;
  readonly left?: boolean;
  /** null: nothing to tell. */
  readonly cell: (row: Row) => string | null;
}

const fixed = (value: number | null | undefined, digits: number): string | null => value?.toFixed(digits) ?? null;

/** Works without such a number have 0. */
const positive = (value: number): string | null => (value === 0 ? null : String(value));

const columns: readonly Column[] = [
  { title: 'work', left: true, cell: ({ work }) => work },
  { title: 'variant', left: true, cell: ({ variant }) => variant ?? null },
  { title: 'peer', left: true, cell: ({ peer }) => peer },
  { title: 'n', cell: ({ n }) => positive(n) },
  { title: 'w', cell: ({ w }) => positive(w) },
  { title: 'bytes', cell: ({ bytes }) => positive(bytes) },
  { title: 'store', left: true, cell: ({ store }) => (store === 'none' ? null : store) },
  { title: 'rate/s', cell: ({ perSecond }) => (perSecond === null ? null : count(perSecond)) },
  { title: 'range', cell: ({ range }) => (range === null ? null : `${count(range[0])} – ${count(range[1])}`) },
  { title: 'CPU ns', cell: ({ cpuNanoseconds: cpu }) => fixed(cpu, cpu !== null && cpu < 100 ? 1 : 0) },
  { title: 'p50 ms', cell: ({ p50Ms }) => (p50Ms === null ? null : milliseconds(p50Ms)) },
  { title: 'p99 ms', cell: ({ p99Ms }) => (p99Ms === null ? null : milliseconds(p99Ms)) },
  { title: 'wire B', cell: ({ wireBytes }) => fixed(wireBytes, 0) },
  { title: 'load', cell: ({ load }) => (load === null ? null : `${Math.round(load * 100)} %`) },
  { title: '× uws', cell: ({ toUws }) => fixed(toUws?.perSecond, 2) },
  { title: '× uws CPU', cell: ({ toUws }) => fixed(toUws?.cpu, 2) },
];

export function table(rows: readonly Row[]): string {
  const more = [...new Set(rows.flatMap((row) => Object.keys(row.more ?? {})))].map((name): Column => ({
    title: name,
    cell: (row) => (row.more?.[name] === undefined ? null : count(row.more[name])),
  }));
  const shown = [...columns, ...more].filter(({ cell }) => rows.some((row) => cell(row) !== null));
  const lines = rows.map((row) => shown.map(({ cell }) => cell(row) ?? '-'));
  const widths = shown.map(({ title }, i) => Math.max(title.length, ...lines.map((line) => (line[i] ?? '').length)));
  const draw = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => (shown[i]?.left === true ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0)))
      .join('  ')
      .trimEnd();
  return [
    draw(shown.map(({ title }) => title)),
    draw(widths.map((width) => '-'.repeat(width))),
    ...lines.map(draw),
  ].join('\n');
}

/** Three digits or so. */
export function count(value: number): string {
  if (value >= 1e6) return `${(value / 1e6).toFixed(value < 10e6 ? 2 : 1)} M`;
  if (value >= 1e4) return `${(value / 1e3).toFixed(value < 1e5 ? 1 : 0)} k`;
  return value >= 100 || Number.isInteger(value) ? value.toFixed(0) : value.toFixed(2);
}

export function milliseconds(value: number): string {
  return value < 10 ? value.toFixed(2) : value.toFixed(value < 100 ? 1 : 0);
}
