/** A histogram for prom-client whose numbers were counted elsewhere, without its cost per observation. */
import { Histogram } from 'prom-client';
import type { Timing } from '../server/api.js';

export type Timings = readonly (readonly [labels: Readonly<Record<string, string>>, timing: Timing])[];
type Shown = ReturnType<Histogram['get']>;

export class TimingMetric extends Histogram {
  readonly #name: string;
  readonly #help: string;
  readonly #read: () => Timings;

  constructor(name: string, help: string, read: () => Timings) {
    super({ name, help, registers: [] });
    this.#name = name;
    this.#help = help;
    this.#read = read;
  }

  /** What the registry asks for; buckets are cumulated here. */
  getForPromString(): Shown {
    return this.get();
  }

  override async get(): Shown {
    const name = this.#name;
    const values: Awaited<Shown>['values'] = [];
    for (const [labels, { bounds, counts, sum }] of this.#read()) {
      let count = 0;
      counts.forEach((more, i) => {
        count += more;
        values.push({ labels: { ...labels, le: bounds[i] ?? '+Inf' }, value: count, metricName: `${name}_bucket` });
      });
      values.push({ labels, value: sum, metricName: `${name}_sum` });
      values.push({ labels, value: count, metricName: `${name}_count` });
    }
    return { name, help: this.#help, type: 'histogram' as never, aggregator: 'sum', collect: () => undefined, values };
  }
}
