/** `roomwire why`: why somebody did or did not get an event, and `roomwire topic`: how a topic stands. */
import type { TopicReport, WhyReport } from '../server/api.js';
import { command, numberFlag } from './args.js';
import { printJson, printLine } from './print.js';
import { remoteFlags, request } from './remote.js';

const json = { type: 'boolean', help: 'print the whole answer as JSON' } as const;

export const why = command({
  name: 'why',
  usage: '<topic> <offset> <user or session> [options]',
  summary: 'Says in a sentence why a user or session did or did not get an event.',
  details:
    'Needs an API key (--token, ROOMWIRE_API_KEY), except on loopback without keys. The offset is what the publish was answered.',
  takes: [3, 3],
  flags: { ...remoteFlags, json },
  async run(flags, [topic = '', offsetText, who = '']) {
    const offset = numberFlag('offset', offsetText, 1, Number.MAX_SAFE_INTEGER);
    const path = `/api/topics/${encodeURIComponent(topic)}/why?offset=${offset}&user=${encodeURIComponent(who)}`;
    const answer = (await request(flags, path)) as WhyReport;
    if (flags.json) printJson(answer);
    else {
      printLine(answer.sentence);
      for (const { sid, edge } of answer.sessions)
        if (edge !== null) printLine(`session ${sid} is connected through ${edge}`);
    }
  },
});

export const topic = command({
  name: 'topic',
  usage: '<topic> [options]',
  summary: 'Shows who is in a topic, who is behind, and what became of its latest events.',
  details: 'Needs an API key (--token, ROOMWIRE_API_KEY), except on loopback without keys.',
  takes: [1, 1],
  flags: { ...remoteFlags, json },
  async run(flags, [name = '']) {
    const report = (await request(flags, `/api/topics/${encodeURIComponent(name)}`)) as TopicReport;
    if (flags.json) printJson(report);
    else linesOf(report).forEach(printLine);
  },
});

function linesOf(report: TopicReport): string[] {
  const { topic: name, exists, known, epoch, head, subscriberCount, subscribers, publishes } = report;
  if (!exists) {
    const { topics = 0, samples = [], similar = [] } = report;
    const like = similar.length > 0 ? [`similar       ${similar.join(', ')}`] : [];
    const what = known ? 'nobody is in it and nothing was published to it' : 'the contract has no such topic';
    return [`${name}: ${what}`, `topics        ${topics}, such as ${samples.join(', ') || 'none'}`, ...like];
  }
  const { similar = [] } = report;
  return [
    `${name}  epoch ${epoch ?? ''}  head ${head}  sessions ${subscriberCount}`,
    ...(similar.length > 0 ? [`nobody is in it; similar: ${similar.join(', ')}`] : []),
    ...subscribers.map(({ sid, user, connected, edge, cursor, lag, bufferedBytes, handled }) =>
      connected
        ? `session       ${sid}  ${user}  at ${cursor ?? 0}, ${lag} behind, ${bufferedBytes} bytes buffered, handled ${handled ?? 'unknown'}${edge === null ? '' : `, through ${edge}`}`
        : `session       ${sid}  ${user}  away, in its grace`,
    ),
    ...publishes
      .slice(0, 10)
      .map(
        ({ offset, at, matched, behind }) =>
          `event         ${offset}  ${new Date(at).toISOString()}  matched ${matched}, ${behind} behind`,
      ),
  ];
}
