/**
 * Waits for a condition without guessing a time: looks again after every turn of the event loop. What never comes
 * is named when the time is over, long after any machine would have had it.
 */

/** No test may hang on it; no truth may hang on it either. */
const DEADLINE_MS = 60_000;

/** `name`: what is waited for, where the condition itself does not say it. Rejects after `ms`. */
export async function until(
  condition: () => boolean,
  name = shown(condition),
  { ms = DEADLINE_MS }: { readonly ms?: number } = {},
): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`not within ${ms} ms: ${name}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** What a promise was to bring; rejects with its name after `ms`. */
export async function within<T>(awaited: Promise<T>, name: string, ms = DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${name}`)), ms);
  });
  try {
    return await Promise.race([awaited, late]);
  } finally {
    clearTimeout(timer);
  }
}

export function shown(condition: (...given: never[]) => unknown): string {
  return String(condition)
    .replace(/^\([^)]*\)\s*=>\s*/, '')
    .replace(/\s+/g, ' ');
}
