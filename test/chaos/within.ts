/** Waits for a condition, and gives up loudly. */
export async function within(ms: number, condition: () => boolean, what = 'the condition'): Promise<void> {
  const deadline = performance.now() + ms;
  while (!condition()) {
    if (performance.now() > deadline) throw new Error(`${what} did not come true in ${ms} ms`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}
