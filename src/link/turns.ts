/** Work on thousands of connections at once, some ms a turn, so that the loop is never stopped by it. */
const TURN_MS = 5;

/** In order. `each` must not throw. */
export function inTurns<T>(items: Iterable<T>, each: (item: T) => void, done: () => void = () => undefined): void {
  const rest = items[Symbol.iterator]();
  const turn = (): void => {
    const until = performance.now() + TURN_MS;
    do {
      const next = rest.next();
      if (next.done === true) return done();
      each(next.value);
    } while (performance.now() < until);
    setImmediate(turn);
  };
  turn();
}
