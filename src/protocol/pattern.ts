/**
 * Topic patterns such as `room:{id}` and event patterns such as `invalidate:*`, in types and at
 * run time. A placeholder matches one or more characters up to the next `:`; as the pattern's last
 * part it matches all the rest.
 */

/** The topic names a pattern stands for: `room:{id}` is `room:${string}`. */
export type TopicName<P extends string> = P extends `${infer A}{${string}}${infer B}`
  ? `${A}${string}${TopicName<B>}`
  : P;
/** The event names a pattern stands for: `invalidate:*` is `invalidate:${string}`. */
export type EventName<P extends string> = P extends `${infer A}*` ? `${A}${string}` : P;

export interface TopicPattern {
  readonly pattern: string;
  /** The placeholders' values, or undefined when `topic` is none of this pattern's. */
  match(topic: string): Readonly<Record<string, string>> | undefined;
}

export function topicPattern(pattern: string): TopicPattern {
  const names: string[] = [];
  let source = '';
  for (const part of pattern.split(/(\{[^{}]*\})/)) {
    if (part === '') continue;
    const name = /^\{(\w+)\}$/.exec(part)?.[1];
    if (name !== undefined) {
      names.push(name);
      source += '([^:]+)';
    } else if (/[{}]/.test(part)) {
      throw new TypeError(`topic pattern '${pattern}': write a placeholder as {name}`);
    } else {
      source += part.replace(/[.*+?^$()|[\]\\]/g, '\\$&');
    }
  }
  if (source.endsWith('([^:]+)')) source = source.slice(0, -'([^:]+)'.length) + '(.+)';
  const regex = new RegExp(`^${source}$`, 's');
  return {
    pattern,
    match(topic) {
      const found = regex.exec(topic);
      if (found === null) return undefined;
      const values: Record<string, string> = {};
      names.forEach((name, i) => (values[name] = found[i + 1] ?? ''));
      return values;
    },
  };
}

/** Whether a name or `prefix*` means this name. */
export function fits(pattern: string, name: string): boolean {
  return pattern.endsWith('*') ? name.startsWith(pattern.slice(0, -1)) : name === pattern;
}

/** The entry for `event`: its own, else that of the longest `prefix*` that fits. */
export function eventEntry<T>(entries: Readonly<Record<string, T>>, event: string): T | undefined {
  if (!event.endsWith('*') && Object.hasOwn(entries, event)) return entries[event];
  let best: string | undefined;
  for (const key of Object.keys(entries)) {
    if (key.endsWith('*') && fits(key, event) && key.length > (best?.length ?? 0)) best = key;
  }
  return best === undefined ? undefined : entries[best];
}
