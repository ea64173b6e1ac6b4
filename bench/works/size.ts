/** Size: bytes of the browser SDK with its codec, minified and gzipped. Nothing else is measured. */
import type { Suite } from '../contest.js';
import { rowOf, type Row } from '../result.js';
import { bundleSdk, SDK_BUDGET_BYTES } from '../sdk-size.js';

export async function size(suite: Suite): Promise<Row[]> {
  if (!suite.peers.includes('roomwire') || suite.planning) return [];
  suite.progress.step('size');
  const { minBytes, minGzipBytes } = await bundleSdk();
  const cell = { work: 'size', n: 0, w: 0, bytes: 0 } as const;
  const contestant = { peer: 'roomwire', store: 'none' } as const;
  const sample = {
    perSecond: null,
    cpuNanoseconds: null,
    p50Ms: null,
    p99Ms: null,
    windows: 0,
    deliveries: 0,
    wireBytes: null,
    load: null,
    more: { minBytes, minGzipBytes, budgetBytes: SDK_BUDGET_BYTES },
  };
  suite.progress.sample(1, cell, contestant, sample);
  return [rowOf(cell, contestant, [sample], [])];
}
