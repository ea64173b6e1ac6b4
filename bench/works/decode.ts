/**
 * Decoding: how many events a second the SDK decodes and hands to a handler in Node, without a
 * network; w events of 64 bytes in a message. "map" is what an application might send, "bin" as many
 * bytes raw. Rate and CPU are of events; a window is a message.
 */
import { keyOf } from '../contestants.js';
import type { Suite } from '../contest.js';
import { runScript } from '../peer-process.js';
import type { SdkCell, SdkResult } from '../peers/sdk.js';
import { rowOf, sampleOfTaker, type Cell, type Row, type Sample } from '../result.js';

const cells = (['map', 'bin'] as const).flatMap((data) => [1, 256].map((w) => ({ data, w })));
const contestant = { peer: 'roomwire', store: 'none' } as const;

export async function decode(suite: Suite): Promise<Row[]> {
  if (!suite.peers.includes('roomwire')) return [];
  const takes = cells.length * 1.25 * suite.seconds;
  if (suite.planning) {
    suite.plan.add(suite.rounds, takes);
    return [];
  }
  const samples = cells.map((): Sample[] => []);
  const cellOf = ({ data, w }: (typeof cells)[number]): Cell => ({
    work: 'decode',
    n: 1,
    w,
    bytes: 64,
    variant: data,
  });
  for (let round = 1; round <= suite.rounds; round++) {
    suite.progress.step(`round ${round}/${suite.rounds}  decode ${keyOf(contestant)}`);
    const asked = cells.map((cell): SdkCell => ({ ...cell, seconds: suite.seconds }));
    const results = await runScript<SdkResult[]>('./peers/sdk.js', asked, { profile: suite.profile });
    for (const [i, cell] of cells.entries()) {
      const { events, messages, seconds, cpuMicroseconds } = results[i] as SdkResult;
      const sample = sampleOfTaker({ events, windows: messages, seconds, cpuMicroseconds });
      samples[i]?.push(sample);
      suite.progress.sample(round, cellOf(cell), contestant, sample);
    }
    suite.plan.did(takes);
  }
  return cells.map((cell, i) => rowOf(cellOf(cell), contestant, samples[i] ?? [], []));
}
