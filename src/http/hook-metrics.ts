/** What the hooks count, for `/metrics`: requests to the backend by kind, and what waits for it. */
import { Counter, type Registry } from 'prom-client';
import type { HookCounts, HooksApi } from '../hooks/hooks.js';
import { gaugesIn } from './gauges.js';

const COUNTS: Readonly<Record<keyof HookCounts, string>> = {
  requests: 'Requests to the backend; tries beyond the first are not among them.',
  retries: 'Tries beyond the first.',
  failures: 'Requests that ended without an answer, or with a wrong one.',
  refused: 'Requests that were not sent: too many were under way.',
};

export function addHookMetrics(registry: Registry, hooks: HooksApi): void {
  for (const [what, help] of Object.entries(COUNTS) as [keyof HookCounts, string][]) {
    new Counter({
      name: `roomwire_hook_${what}_total`,
      help,
      labelNames: ['hook'],
      registers: [registry],
      collect() {
        this.reset();
        for (const [hook, counts] of Object.entries(hooks.stats().counts)) this.inc({ hook }, counts[what]);
      },
    });
  }
  const gauge = gaugesIn(registry);
  gauge('roomwire_hook_down', '1 while the backend is not reached.', () => (hooks.stats().down ? 1 : 0));
  gauge('roomwire_hook_notices_waiting', 'Joins and leaves the backend was not told yet.', () => {
    return hooks.stats().notices.waiting;
  });
  new Counter({
    name: 'roomwire_hook_notices_lost_total',
    help: 'Joins and leaves the backend will not be told.',
    registers: [registry],
    collect() {
      this.reset();
      this.inc(hooks.stats().notices.lost);
    },
  });
}
