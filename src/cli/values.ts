/** Strict readers of values that come as text, from flags and the environment: each has one spelling of what it means. */

/** Undefined for what is neither yes nor no. */
export function readSwitch(text: string): boolean | undefined {
  if (/^(1|true|yes|on)$/i.test(text)) return true;
  if (/^(0|false|no|off)$/i.test(text)) return false;
  return undefined;
}

/** Decimal digits and nothing else: not `0x10`, `1e3`, ` 5` or `007`. */
export function readWhole(text: string): number | undefined {
  return /^(0|[1-9]\d*)$/.test(text) ? Number(text) : undefined;
}

/** Blanks around a comma do not count. Undefined where an item is missing. */
export function readList(text: string): string[] | undefined {
  const items = text.split(',').map((item) => item.trim());
  return items.includes('') ? undefined : items;
}
