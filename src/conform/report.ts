/** What the kit says: TAP by default, or JSON lines; the last line sums up. */
export interface Check {
  readonly id: string;
  readonly title: string;
  readonly rules: readonly string[];
  /** Why it is not run here. */
  readonly skip?: string | undefined;
  /** Throws what is wrong; with `bytes`, the last message of the other side. */
  readonly run: () => Promise<void>;
}

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
}

/** Runs them one after the other. */
export async function runChecks(checks: readonly Check[], { json, timeoutMs, write }: ReportOptions): Promise<Sum> {
  const sum = { passed: 0, failed: 0, skipped: 0 };
  if (!json) write('TAP version 14');
  for (const [i, { id, title, rules, skip, run }] of checks.entries()) {
    const line = `${i + 1} - ${id}: ${title.replaceAll('#', '\\#')}`;
    if (skip !== undefined) {
      sum.skipped++;
      write(json ? JSON.stringify({ id, title, rules, skipped: skip }) : `ok ${line} # SKIP ${skip}`);
      continue;
    }
    const wrong = await inTime(run, timeoutMs);
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

async function inTime(
  run: () => Promise<void>,
  timeoutMs: number,
): Promise<{ readonly message: string; readonly bytes?: string | undefined } | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not done after ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    await Promise.race([run(), late]);
    return undefined;
  } catch (error) {
    const { message, bytes } = error as Error & { readonly bytes?: string };
    return { message, bytes };
  } finally {
    clearTimeout(timer);
  }
}
