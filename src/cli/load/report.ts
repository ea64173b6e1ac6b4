/** What a run of `roomwire load` found: one object for scripts, lines for people, and what was wrong with it. */
import type { Percentiles } from './histogram.js';
import type { LoadRun } from './run.js';

/** A busier process than this may be slower than the server it measures. */
const BUSY = 0.9;

export interface Report {
  readonly url: string;
  readonly topic: string;
  readonly event: string;
  /** Of publishing or listening. */
  readonly seconds: number;
  readonly interrupted: boolean;
  /** `connected`, of `asked`: subscribers. The others count publishers too. */
  readonly clients: {
    readonly asked: number;
    readonly connected: number;
    readonly failed: number;
    readonly gone: number;
    /** At the end. */
    readonly offline: number;
    readonly reconnects: number;
    readonly resets: number;
  };
  readonly published: {
    readonly askedPerSecond: number;
    readonly perSecond: number;
    readonly sent: number;
    readonly acknowledged: number;
    readonly failed: number;
    readonly failures: Readonly<Record<string, number>>;
    readonly notSent: number;
  };
  readonly deliveries: number;
  readonly deliveriesPerSecond: number;
  /** Acknowledged events that a subscriber never saw, counted for each subscriber. */
  readonly lost: number;
  /** Those of `lost` that a RESET told. */
  readonly lostTold: number;
  readonly duplicates: number;
  readonly outOfOrder: number;
  readonly connectMs: Percentiles | null;
  readonly enterMs: Percentiles | null;
  readonly ackMs: Percentiles | null;
  readonly latencyMs: Percentiles | null;
  /** Share of one core that this process used. */
  readonly cpu: number;
  /** What may have bent the numbers. */
  readonly notes: readonly string[];
  /** Why it is not `ok`. */
  readonly problems: readonly string[];
  readonly ok: boolean;
}

export function reportOf(run: LoadRun): Report {
  const { plan, publishers, sent, arrivals } = run;
  const total = { told: 0, untold: 0, duplicates: 0, outOfOrder: 0 };
  for (const one of arrivals) {
    const { told, untold } = one.lost();
    total.told += told;
    total.untold += untold;
    total.duplicates += one.duplicates;
    total.outOfOrder += one.outOfOrder;
  }
  const failures = Object.fromEntries([...publishers.failures].sort(([, a], [, b]) => b - a));
  const findings = {
    clients: {
      asked: plan.clients,
      connected: arrivals.length,
      failed: run.notOpened,
      gone: run.gone,
      offline: run.offline,
      reconnects: run.reconnects,
      resets: run.resets,
    },
    published: {
      askedPerSecond: plan.rate,
      perSecond: perSecond(publishers.published, run.seconds),
      sent: publishers.published,
      acknowledged: publishers.acknowledged,
      failed: [...publishers.failures.values()].reduce((sum, count) => sum + count, 0),
      failures,
      notSent: publishers.notSent,
    },
    deliveries: run.deliveries,
    deliveriesPerSecond: perSecond(run.deliveries, run.deliverySeconds),
    lost: total.told + total.untold,
    lostTold: total.told,
    duplicates: total.duplicates,
    outOfOrder: total.outOfOrder,
  };
  const problems = problemsOf(findings, run);
  return {
    url: plan.urls.join(','),
    topic: plan.topic,
    event: plan.event,
    seconds: rounded(run.seconds),
    interrupted: run.interrupted,
    ...findings,
    connectMs: roundedAll(run.connectMs.percentiles()),
    enterMs: roundedAll(run.enterMs.percentiles()),
    ackMs: roundedAll(publishers.ackMs.percentiles()),
    latencyMs: roundedAll(run.latencyMs.percentiles()),
    cpu: rounded(run.cpu),
    notes: notesOf(findings, run, sent.full),
    problems,
    ok: problems.length === 0,
  };
}

type Findings = Pick<Report, 'clients' | 'published' | 'lost' | 'lostTold' | 'duplicates' | 'outOfOrder'>;

/** What makes a run fail. A lower rate than asked does not: it is in the report, and may be this machine's. */
export function problemsOf(
  { clients, published, lost, lostTold, duplicates, outOfOrder }: Findings,
  { whyNot = '', whyGone = '' }: { readonly whyNot?: string | undefined; readonly whyGone?: string | undefined } = {},
): string[] {
  const found: [count: number, text: string][] = [
    [clients.failed, `connections could not be opened (${whyNot})`],
    [clients.gone, `connections were ended by the server (${whyGone})`],
    [clients.offline, 'connections were lost and not back at the end'],
    [published.failed, `publishes failed (${counts(published.failures)})`],
    [lost, `deliveries were lost (${lostTold} of them told by a RESET)`],
    [duplicates, 'deliveries came twice'],
    [outOfOrder, 'deliveries came out of order'],
  ];
  return found.filter(([count]) => count > 0).map(([count, text]) => `${count} ${text}`);
}

function notesOf({ published }: Findings, run: LoadRun, full: boolean): string[] {
  const notes: [boolean, string][] = [
    [run.interrupted, 'interrupted: the numbers are those up to then'],
    [full, 'ended early: so much failed or was missed that there is no sense in counting on'],
    [published.notSent > 0, 'not all events due were sent: the answers, or this process, were too slow for the rate'],
    [run.cpu > BUSY, 'this process was busy and may be the limit itself: spread the clients over several'],
    [run.stillArriving, 'events still came when the wait was over: what counts as lost may be late (--settle)'],
  ];
  return notes.filter(([applies]) => applies).map(([, note]) => note);
}

/** One line each, always in this order: a name, two spaces or more, the numbers. */
export function linesOf(report: Report): string[] {
  const { clients, published, latencyMs, ackMs, connectMs, enterMs } = report;
  const { connected, asked, failed, gone, offline, reconnects, resets } = clients;
  const trouble = `${failed} failed, ${gone} gone, ${offline} offline, ${reconnects} reconnects, ${resets} resets`;
  const listening = published.askedPerSecond === 0;
  const rate = `${published.perSecond}/s of ${published.askedPerSecond}/s`;
  const answers = `${published.acknowledged} acknowledged, ${published.failed} failed, ${published.notSent} not sent`;
  const rows: (readonly [name: string, text: string])[] = [
    ['topic', `${report.topic} at ${report.url}, ${report.seconds} s`],
    ['clients', `${connected} of ${asked}; ${trouble}`],
    ['connect ms', percentiles(connectMs)],
    ['enter ms', percentiles(enterMs)],
  ];
  if (!listening) {
    rows.push(['published', `${published.sent} (${rate}); ${answers}`]);
    if (published.failed > 0) rows.push(['failed', counts(published.failures)]);
    rows.push(['ack ms', percentiles(ackMs)]);
  }
  rows.push(['delivered', `${report.deliveries} (${report.deliveriesPerSecond}/s)`]);
  if (!listening) {
    rows.push(
      ['lost', `${report.lost} (${report.lostTold} told by a RESET)`],
      ['duplicates', String(report.duplicates)],
      ['out of order', String(report.outOfOrder)],
      ['latency ms', percentiles(latencyMs)],
    );
  }
  rows.push(['own cpu', `${Math.round(report.cpu * 100)} % of a core`]);
  rows.push(...report.notes.map((note) => ['note', note] as const));
  return rows.map(([name, text]) => `${name.padEnd(14)}${text}`);
}

/** The state of a run in one line; `before` is what the last line counted, a second ago. */
export function progressOf(run: LoadRun, before: { readonly published: number; readonly deliveries: number }): string {
  const { phase, arrivals, plan, publishers, deliveries, latencyMs } = run;
  if (phase === 'connecting') return `connecting: ${arrivals.length} of ${plan.clients}`;
  const parts = [`${phase}: delivered ${deliveries} (${deliveries - before.deliveries}/s)`];
  if (plan.rate > 0) {
    const failed = [...publishers.failures.values()].reduce((sum, count) => sum + count, 0);
    const { published } = publishers;
    parts.push(`published ${published} (${published - before.published}/s), ${failed} failed`);
    parts.push(`latency ${percentiles(latencyMs.percentiles())} ms`);
  }
  if (run.offline > 0) parts.push(`${run.offline} offline`);
  return parts.join(', ');
}

function percentiles(times: Percentiles | null): string {
  if (times === null) return 'none';
  const { p50, p90, p99, max } = times;
  return `p50 ${p50.toFixed(2)} p90 ${p90.toFixed(2)} p99 ${p99.toFixed(2)} max ${max.toFixed(2)}`;
}

function counts(failures: Readonly<Record<string, number>>): string {
  return Object.entries(failures)
    .map(([name, count]) => `${name} ${count}`)
    .join(', ');
}

function perSecond(count: number, seconds: number): number {
  return seconds === 0 ? 0 : Math.round((count / seconds) * 10) / 10;
}

function rounded(value: number): number {
  return Math.round(value * 1000) / 1000;
}

function roundedAll(times: Percentiles | null): Percentiles | null {
  if (times === null) return null;
  const { p50, p90, p99, max } = times;
  return { p50: rounded(p50), p90: rounded(p90), p99: rounded(p99), max: rounded(max) };
}
