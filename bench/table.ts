/** Results as text: a line of progress each, and the table at the end. */
import type { Result } from './fanout.js';

const columns = ['work', 'peer', 'n', 'w', 'store', 'deliveries/s', 'CPU ns', 'p50 ms', 'p99 ms', '× uws', '× uws CPU'];
const leftAligned = new Set(['work', 'peer', 'store']);

export function table(results: readonly Result[]): string {
  const rows = results.map((result) => [
    result.work,
    result.peer,
    `${result.n}`,
    `${result.w}`,
    result.store,
    millions(result.perSecond),
    result.cpuNanoseconds.toFixed(result.cpuNanoseconds < 100 ? 1 : 0),
    result.p50Ms.toFixed(2),
    result.p99Ms.toFixed(2),
    result.toUws === null ? '-' : result.toUws.perSecond.toFixed(2),
    result.toUws === null ? '-' : result.toUws.cpu.toFixed(2),
  ]);
  const widths = columns.map((column, i) => Math.max(column.length, ...rows.map((row) => (row[i] ?? '').length)));
  const line = (cells: readonly string[]): string =>
    cells
      .map((cell, i) => {
        const width = widths[i] ?? 0;
        return leftAligned.has(columns[i] ?? '') ? cell.padEnd(width) : cell.padStart(width);
      })
      .join('  ')
      .trimEnd();
  return [line(columns), line(widths.map((width) => '-'.repeat(width))), ...rows.map(line)].join('\n');
}

export function millions(perSecond: number): string {
  return `${(perSecond / 1e6).toFixed(perSecond < 10e6 ? 2 : 1)} M`;
}
