/** `roomwire load`: many clients on one topic, events published at a steady rate, and whether everyone saw them all. */
import { command, CommandError, numberFlag, UsageError } from './args.js';
import { linesOf, progressOf, reportOf } from './load/report.js';
import { LoadRun } from './load/run.js';
import { checkedUrl, remoteFlags } from './remote.js';

/** What `roomwire serve` lets anyone do who may connect. */
const DEFAULT_TOPIC = 'room:load';
const DEFAULT_EVENT = 'chat:message:new';

export const load = command({
  name: 'load',
  usage: '[options]',
  summary: 'Puts load on a server and checks that every subscriber sees every event, once and in order.',
  details:
    'Opens --clients subscribers, each with a socket of its own, and publishes --rate events a second from other sockets;\n' +
    'all are in --topic, which is joined as by roomwire tail. A publish is not held back by slow answers: what could not\n' +
    'be sent in time is reported. Latency is from publish to handler, so it has the time this process itself takes.\n' +
    'Lost is what was acknowledged and never came to a subscriber. In a room every join is told to all its members: for\n' +
    'thousands of clients name a plain topic (docs/config.md). For more than one core of load start several beside each\n' +
    'other; each checks its own events.\n' +
    'Exit code 0: all went well; 1: something was lost, doubled, out of order, refused or not connected. Ctrl-C ends it\n' +
    'early, with the report. Several addresses in --url, with commas between them, stand for a balancer before the nodes of a\n' +
    'cluster: each connection goes to the next.',
  takes: [0, 0],
  flags: {
    ...remoteFlags,
    topic: { type: 'string', value: 'TOPIC', default: DEFAULT_TOPIC, help: 'room:ID, overview:GROUP or a plain topic' },
    create: { type: 'boolean', help: `make the room when there is none; always done for ${DEFAULT_TOPIC}` },
    event: { type: 'string', value: 'NAME', default: DEFAULT_EVENT, help: 'event that subscribers may publish' },
    clients: { type: 'string', value: 'N', default: '100', help: 'subscribers' },
    publishers: { type: 'string', value: 'N', default: '1', help: 'connections that publish, beside the subscribers' },
    rate: {
      type: 'string',
      value: 'R',
      default: '10',
      help: 'events a second in all; 0 only counts what others publish',
    },
    seconds: { type: 'string', value: 'S', default: '10', help: 'how long to publish or listen' },
    bytes: { type: 'string', value: 'B', default: '64', help: 'size of an event, to within 8; 27 is the least' },
    'connect-rate': { type: 'string', value: 'N', default: '500', help: 'connections opened a second' },
    settle: { type: 'string', value: 'S', default: '10', help: 'seconds to wait at the end for events under way' },
    json: { type: 'boolean', help: 'print the report as one JSON object' },
  },
  async run(flags) {
    const urls = (flags.url as string).split(',').map((url) => checkedUrl(url.trim())) as [string, ...string[]];
    const { topic = DEFAULT_TOPIC, event = DEFAULT_EVENT } = flags;
    if (topic === '' || event === '') throw new UsageError('--topic and --event must not be empty');
    const run = new LoadRun({
      urls,
      token: flags.token,
      topic,
      event,
      create: flags.create || topic === DEFAULT_TOPIC,
      clients: numberFlag('clients', flags.clients, 1, 20_000),
      publishers: numberFlag('publishers', flags.publishers, 1, 64),
      rate: numberFlag('rate', flags.rate, 0, 1_000_000),
      seconds: numberFlag('seconds', flags.seconds, 1, 86_400),
      bytes: numberFlag('bytes', flags.bytes, 0, 1_048_576),
      connectRate: numberFlag('connect-rate', flags['connect-rate'], 1, 10_000),
      settle: numberFlag('settle', flags.settle, 0, 600),
    });
    const stopShowing = showProgress(run);
    try {
      await run.start(interrupt());
    } finally {
      stopShowing();
    }
    const report = reportOf(run);
    process.stdout.write(flags.json ? `${JSON.stringify(report)}\n` : `${linesOf(report).join('\n')}\n`);
    await run.close();
    if (!report.ok) throw new CommandError(report.problems.join('; '));
  },
});

/** Aborts at the first SIGINT or SIGTERM; a second one ends the process, as always. */
function interrupt(): AbortSignal {
  const stop = new AbortController();
  const onSignal = (): void => {
    process.off('SIGINT', onSignal).off('SIGTERM', onSignal);
    stop.abort();
  };
  process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  return stop.signal;
}

/** A line a second on stderr, on a terminal always the same one. Returns how to stop. */
function showProgress(run: LoadRun): () => void {
  const { stderr } = process;
  let before = { published: 0, deliveries: 0 };
  const timer = setInterval(() => {
    const line = progressOf(run, before);
    before = { published: run.publishers.published, deliveries: run.deliveries };
    stderr.write(stderr.isTTY ? `\r${line.slice(0, stderr.columns - 1)}\u001b[K` : `${line}\n`);
  }, 1_000);
  return () => {
    clearInterval(timer);
    if (stderr.isTTY) stderr.write('\r\u001b[K');
  };
}
