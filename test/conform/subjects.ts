/** What the kit is tried on: our server and our clients, as they are or with something in between that spoils them. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { clientChecks } from '../../src/conform/client-checks.js';
import type { Check } from '../../src/conform/report.js';
import { serverChecks, type Subject } from '../../src/conform/server-checks.js';
import { readVectors, vectorsFolder } from '../../src/conform/vectors.js';
import { startConform, type Made } from '../protocol/conform-server.js';
import { programArgs } from '../support/program.js';
import { skipSocketPython, socketPython } from '../support/python.js';
import type { Test } from '../support/server.js';
import { spoiler, type Spoil } from './spoiler.js';

export const vectors = readVectors(vectorsFolder);

export const drivers = {
  'the SDK': { skip: false, command: [process.execPath, ...programArgs(new URL('driver.ts', import.meta.url))] },
  'the Python client': {
    skip: skipSocketPython,
    command: [socketPython, fileURLToPath(new URL('../../clients/python/tests/driver.py', import.meta.url))],
  },
} as const;

interface OfServer {
  readonly timeoutMs: number;
  readonly made?: Made;
  /** What stands between it and the runner. */
  readonly through?: (subject: Subject) => Promise<Subject>;
}

/** Each sequence gets a server of its own. */
export async function checksOfServer(
  t: Test,
  { timeoutMs, made, through = (subject) => Promise.resolve(subject) }: OfServer,
): Promise<Check[]> {
  const subject = await through(await startConform(t, {}, made));
  return serverChecks({
    vectors,
    timeoutMs,
    offers: new Set(),
    limits: {},
    subject,
    start: async (sequence) => through(await startConform(t, sequence, made)),
  });
}

export interface Spoilt {
  readonly side: 'server' | 'client';
  readonly spoil: Spoil;
  /** Which checks to begin with. */
  readonly first?: (id: string) => boolean;
  /** Which checks are made. */
  readonly only?: (id: string) => boolean;
  /** For anything that is waited for. What would come is there soon: who fails by a time-out has no more to say. */
  readonly timeoutMs?: number;
}

/** A client that does not read: the wrapper would read for it. */
const slow = new Set(
  vectors.sequences.filter(({ steps }) => steps.some((step) => 'pause' in step)).map(({ id }) => id),
);

/** The check that a spoilt server does not pass, if any, and why. */
export async function serverCaught({ side, spoil, first, timeoutMs = 1_000 }: Spoilt): Promise<string | undefined> {
  const own = scratch();
  try {
    const through = async ({ url, host }: Subject): Promise<Subject> => {
      const between = await spoiler(url, side, spoil);
      own.teardown(() => between.close());
      return { url: between.url, host };
    };
    const checks = await checksOfServer(own, { timeoutMs, through });
    const sequences = checks.filter(({ id }) => !id.includes('/') && !slow.has(id)).reverse();
    return await firstFailure(sequences, first);
  } finally {
    await own.end();
  }
}

/** The check that a spoilt client, the SDK behind a wrapper, does not pass. */
export async function clientCaught({
  side,
  spoil,
  first,
  only = () => true,
  timeoutMs = 2_000,
}: Spoilt): Promise<string | undefined> {
  const own = scratch();
  try {
    const through = async (url: string): Promise<string> => {
      const between = await spoiler(url, side, spoil);
      own.teardown(() => between.close());
      return between.url;
    };
    const checks = clientChecks({ driver: drivers['the SDK'].command, timeoutMs, through });
    return await firstFailure(
      checks.filter(({ id }) => only(id)),
      first,
    );
  } finally {
    await own.end();
  }
}

async function firstFailure(checks: readonly Check[], first: (id: string) => boolean = () => true) {
  for (const { id, run } of [...checks.filter((check) => first(check.id)), ...checks.filter(({ id }) => !first(id))]) {
    try {
      await run();
    } catch (error) {
      return `${id}: ${(error as Error).message.slice(0, 200)}`;
    }
  }
  return undefined;
}

/** Folders and teardown of a part of a test, which ends before the test does. */
function scratch(): Test & { end(): Promise<void> } {
  const ends: (() => unknown)[] = [];
  return {
    teardown: (fn) => void ends.unshift(fn),
    testdir() {
      const folder = mkdtempSync(join(tmpdir(), 'roomwire-spoilt-'));
      ends.push(() => rmSync(folder, { recursive: true, force: true }));
      return folder;
    },
    async end() {
      for (const end of ends) await end();
    },
  };
}
