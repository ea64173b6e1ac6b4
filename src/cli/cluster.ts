/** `roomwire cluster`: looks at the log of a cluster and at its nodes. */
import { command, CommandError, numberFlag, UsageError } from './args.js';

export const cluster = command({
  name: 'cluster',
  usage: '[check] [url] [options]',
  summary:
    'Shows the nodes of a cluster. With check: checks a database for its log: what it keeps, how fast, what it survives.',
  details: `The url is postgres://… or nats://…, as for serve --cluster, and may stand in ROOMWIRE_CLUSTER.

Without check: the nodes that the database has heard of in the last minute, by name. Lag is the number of records of the log that
a node has yet to apply; the last beat is when the hub last wrote to the log. On NATS only nodes that answer now are shown. The
exit code is 1 when none of them is the hub, or the database does not answer.

With check: the checks make a log of their own beside yours (a schema, or streams) and remove it in the end; other logs are not
touched. Latencies are those of one append at a time, from here. The last line says which losses acknowledged records outlive as
the engine is set:
  process   the engine's process is killed
  power     its machine loses power and comes back
  machine   its machine and disk are lost
  failover  another of its servers takes over
The exit code is 1 when a check failed.`,
  takes: [0, 2],
  flags: {
    json: { type: 'boolean', help: 'print one JSON line for each node, or check, latency and the survival' },
    races: { type: 'string', value: 'N', default: '1000', help: 'with check: how often two writers race for a number' },
    timeout: { type: 'string', value: 'MS', default: '10000', help: 'to wait for an engine that is away' },
  },
  async run({ json = false, races = '1000', timeout = '10000' }, given) {
    const isCheck = given[0] === 'check';
    if (given.length === 2 && !isCheck) throw new UsageError(`cluster takes check, not '${given[0]}'`);
    const url = given[isCheck ? 1 : 0] ?? process.env['ROOMWIRE_CLUSTER'] ?? '';
    if (url === '') throw new CommandError('no database is named: give its url, or set ROOMWIRE_CLUSTER');
    const timeoutMs = numberFlag('timeout', timeout, 100, 600_000);
    if (!isCheck) return (await import('./cluster-nodes.js')).showNodes({ url, json, timeoutMs });
    const { checkEngine } = await import('./cluster-check.js');
    return checkEngine({ url, json, races: numberFlag('races', races, 1, 100_000), timeoutMs });
  },
});
