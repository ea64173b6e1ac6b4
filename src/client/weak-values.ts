/** The same object for the same key, for as long as anybody has it. */
export class WeakValues<V extends object> {
  readonly #refs = new Map<string, WeakRef<V>>();
  readonly #gone = new FinalizationRegistry<string>((key) => {
    if (!this.get(key)) this.#refs.delete(key);
  });

  get(key: string): V | undefined {
    return this.#refs.get(key)?.deref();
  }

  getOrMake(key: string, make: () => V): V {
    let value = this.get(key);
    if (!value) {
      value = make();
      this.#refs.set(key, new WeakRef(value));
      this.#gone.register(value, key);
    }
    return value;
  }

  values(): V[] {
    return [...this.#refs.values()].flatMap((ref) => ref.deref() ?? []);
  }
}
