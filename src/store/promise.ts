/** Telling apart the two sides of `MaybePromise`. */
export function isPromise<T>(value: T | Promise<T>): value is Promise<T> {
  return value instanceof Promise;
}
