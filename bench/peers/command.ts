/** The command line of a peer's server; the floor's program is compiled first. */
import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Peer } from '../contestants.js';
import { loadCodec } from '../dist.js';
import { event, topicName } from './names.js';
import { payloadOf } from './peer.js';

export async function commandOf(
  peer: Peer,
  options: { readonly bytes: number },
  flags: readonly string[],
): Promise<string[]> {
  if (peer !== 'floor') {
    const script = fileURLToPath(new URL(`./${peer}.js`, import.meta.url));
    return [process.execPath, ...flags, script, JSON.stringify(options)];
  }
  const { encode } = await loadCodec();
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
  return [floorProgram(), hex(encode(topicName(0))), hex(encode([event, payloadOf(options.bytes), null]))];
}

let floor: string | undefined;
/** Compiles the floor once, into a folder that goes with this process. */
function floorProgram(): string {
  if (floor !== undefined) return floor;
  const directory = mkdtempSync(join(tmpdir(), 'roomwire-bench-floor-'));
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  const program = join(directory, 'floor');
  // The sources are beside dist-bench/, which holds only what Node runs.
  const source = fileURLToPath(new URL('../../bench/peers/floor.c', import.meta.url));
  execFileSync('cc', ['-O2', '-o', program, source], { stdio: ['ignore', 'ignore', 'inherit'] });
  return (floor = program);
}
