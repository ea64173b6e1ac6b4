/** Gauges for prom-client that are read when they are asked for. */
import { Gauge, type Registry } from 'prom-client';

export type AddGauge = (name: string, help: string, read: () => number) => void;

export function gaugesIn(registry: Registry): AddGauge {
  return (name, help, read) => {
    new Gauge({
      name,
      help,
      registers: [registry],
      collect() {
        this.set(read());
      },
    });
  };
}
