/** `roomwire publish`: one event over HTTP, as a backend would. */
import { command, CommandError, jsonArgument } from './args.js';
import { httpUrl, remoteFlags } from './remote.js';

export const publish = command({
  name: 'publish',
  usage: '<topic> <event> <json> [options]',
  summary: 'Publishes an event and prints where it went and how many it matched.',
  takes: [3, 3],
  flags: {
    ...remoteFlags,
    key: { type: 'string', value: 'KEY', help: 'idempotency key: the same key publishes once' },
  },
  async run(flags, [topic = '', event = '', json = '']) {
    const url = httpUrl(flags.url as string);
    const data = jsonArgument('the data', json);
    let response: Response;
    try {
      response = await fetch(`${url}/api/publish`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          ...(flags.token === undefined ? {} : { authorization: `Bearer ${flags.token}` }),
          ...(flags.key === undefined ? {} : { 'idempotency-key': flags.key }),
        },
        body: JSON.stringify({ topic, event, data }),
      });
    } catch (error) {
      throw new CommandError(`cannot reach ${url}: ${String((error as Error).cause ?? error)}`);
    }
    const answer = (await response.json()) as { detail?: string };
    if (!response.ok) throw new CommandError(answer.detail ?? `the server answered ${response.status}`);
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  },
});
