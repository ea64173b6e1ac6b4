/** A stopwatch, and how busy this process was meanwhile: where that is near 1 the load is the slower side. */
export interface Lapse {
  readonly seconds: number;
  /** Share of the time that the load's own core was busy. */
  readonly load: number;
}

/** Starts now; call it to stop. */
export function lapse(): () => Lapse {
  const cpu = process.cpuUsage();
  const start = performance.now();
  return () => {
    const ms = performance.now() - start;
    const { user, system } = process.cpuUsage(cpu);
    return { seconds: ms / 1000, load: (user + system) / 1000 / ms };
  };
}
