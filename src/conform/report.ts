/** What the kit says: TAP by default, or JSON lines; the last line sums up. */
export interface Check {
  readonly id: string;
  readonly title: string;
  readonly rules: readonly string[];
  /** Why it is not run here. */
  readonly skip?: string | undefined;
  /** Throws what is wrong (with `bytes`, the last message of the other side), or `Lacking`. */
  readonly run: () => Promise<void>;
}

/** The other side cannot be asked for what the check needs: it is skipped, and said. */
export class Lacking extends Error {}

export interface Sum {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export interface ReportOptions {
  readonly json: boolean;
  /** For one check as a whole: what hangs, fails. */
  readonly timeoutMs: number;
  readonly write: (line: string) => void;
  /** Checks that run at a time; for those that share nothing. Default 1. */
  readonly jobs?: number;
}

/** Runs them, and tells in their order. */
export async function runChecks(
  checks: readonly Check[],
  { json, timeoutMs, write, jobs = 1 }: ReportOptions,
): Promise<Sum> {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  if (!json) write('TAP version 14');
  const lanes: Promise<unknown>[] = Array.from({ length: jobs }, () => Promise.resolve());
  const outcomes = checks.map(({ skip, run }, i) => {
    const ready = lanes[i % jobs] as Promise<unknown>;
    const outcome = ready.then(() => (skip === undefined ? inTime(run, timeoutMs) : { skipped: skip }));
    lanes[i % jobs] = outcome;
    return outcome;
  });
  for (const [i, { id, title, rules }] of checks.entries()) {
    const line = `${i + 1} - ${id}: ${title.replaceAll('#', '\\#')}`;
    const wrong = await outcomes[i];
    if (wrong !== undefined && 'skipped' in wrong) {
      sum.skipped++;
      write(json ? JSON.stringify({ id, title, rules, ...wrong }) : `ok ${line} # SKIP ${wrong.skipped}`);
      continue;
    }
    sum[wrong === undefined ? 'passed' : 'failed']++;
    if (json) {
      write(JSON.stringify({ id, title, rules, ok: wrong === undefined, ...wrong }));
    } else if (wrong === undefined) {
      write(`ok ${line}`);
    } else {
      const bytes = wrong.bytes === undefined ? '' : `; last message: ${wrong.bytes}`;
      write(`not ok ${line}`);
      write(`# ${rules.join(' ')}: ${wrong.message.replaceAll(/\s*\n\s*/g, ' ')}${bytes}`);
    }
  }
  write(json ? JSON.stringify(sum) : `1..${checks.length}`);
  if (!json) write(`# ${sum.passed} passed, ${sum.failed} failed, ${sum.skipped} skipped`);
  return sum;
}

interface Wrong {
  readonly message: string;
  readonly bytes?: string | undefined;
}

async function inTime(
  run: () => Promise<void>,
  timeoutMs: number,
): Promise<Wrong | { readonly skipped: string } | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([run(), late]);
    return undefined;
  } catch (error) {
    if (error instanceof Lacking) return { skipped: error.message };
    const { message, bytes } = error as Error & { readonly bytes?: string };
    return { message, bytes };
  } finally {
    clearTimeout(timer);
  }
}
