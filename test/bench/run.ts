/** The command line in a process of its own. It needs a build (`npm run build`). */
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';

const script = fileURLToPath(new URL('../../bench/run.mjs', import.meta.url));

export function bench(...args: string[]): Promise<{ code: number | null; out: string; err: string }> {
  const child = spawn(process.execPath, [script, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()));
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  return new Promise((resolve) => child.on('close', (code) => resolve({ code, out, err })));
}

export interface Row {
  readonly work: string;
  readonly variant?: string;
  readonly peer: string;
  readonly store: string;
  readonly n: number;
  readonly w: number;
  readonly windows: number;
  readonly deliveries: number;
  readonly more?: Readonly<Record<string, number>>;
  readonly [figure: string]: unknown;
}

/** A run that must go well; `able` tells which peers can run here. */
export async function results(t: Test, ...args: string[]) {
  const file = join(t.testdir(), 'bench.json');
  const { code, out, err } = await bench(...args, '--json', file);
  t.equal(code, 0, err);
  const json = JSON.parse(readFileSync(file, 'utf8')) as { machine: object; results: Row[] };
  const able = (peer: string): boolean => !err.includes(`SKIPPED ${peer}:`);
  const tables = out.split('\n\n').filter((part) => part.startsWith('work '));
  return { ...json, able, tables, err };
}
