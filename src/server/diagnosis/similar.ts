/** Names that somebody may have meant: for a topic that does not exist. */

/** Names looked at, and the longest that is compared letter by letter. */
const LOOKED_AT = 50_000;
const LONGEST = 100;

/** The `most` nearest to `wanted`, the nearest first; none that is more than a third different. */
export function similarNames(wanted: string, names: Iterable<string>, most = 5): string[] {
  const found: [name: string, distance: number][] = [];
  let looked = 0;
  for (const name of names) {
    if (++looked > LOOKED_AT) break;
    const limit = Math.max(2, Math.floor(Math.min(wanted.length, name.length) / 3));
    if (name === wanted || Math.abs(name.length - wanted.length) > limit || name.length > LONGEST) continue;
    const distance = editDistance(wanted.toLowerCase(), name.toLowerCase(), limit);
    if (distance <= limit) found.push([name, distance]);
  }
  return found
    .sort(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))
    .slice(0, most)
    .map(([name]) => name);
}

/** Levenshtein's distance, or anything above `limit` when it is more than that. */
function editDistance(a: string, b: string, limit: number): number {
  let row = Array.from({ length: b.length + 1 }, (_, i) => i);
  for (let i = 1; i <= a.length; i++) {
    const next = [i];
    let least = i;
    for (let j = 1; j <= b.length; j++) {
      const same = a.charCodeAt(i - 1) === b.charCodeAt(j - 1) ? 0 : 1;
      const cell = Math.min((row[j] as number) + 1, (next[j - 1] as number) + 1, (row[j - 1] as number) + same);
      next.push(cell);
      least = Math.min(least, cell);
    }
    if (least > limit) return least;
    row = next;
  }
  return row[b.length] as number;
}
