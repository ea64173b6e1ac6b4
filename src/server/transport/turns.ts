/** Work on thousands of connections at once, a few a turn, so that the loop is never stopped by it. */

/** At most so many a turn, … */
export const MOST_A_TURN = 256;
/** … and no more once they have taken so many ms. */
const TURN_MS = 5;

/** In order; resolves after the last. `each` must not throw. */
export function inTurns<T>(items: Iterable<T>, each: (item: T) => void): Promise<void> {
  const rest = items[Symbol.iterator]();
  return new Promise((resolve) => {
    const turn = (): void => {
      const until = performance.now() + TURN_MS;
      for (let done = 0; done < MOST_A_TURN; done++) {
        const next = rest.next();
        if (next.done === true) return resolve();
        each(next.value);
        if (performance.now() >= until) break;
      }
      setImmediate(turn);
    };
    turn();
  });
}
