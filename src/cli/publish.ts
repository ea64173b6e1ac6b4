/** `roomwire publish`: one event over HTTP, as a backend would. */
import { command, jsonArgument } from './args.js';
import { printJson } from './print.js';
import { remoteFlags, request } from './remote.js';

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
    const data = jsonArgument('the data', json);
    const headers: Record<string, string> = flags.key === undefined ? {} : { 'idempotency-key': flags.key };
    const answer = await request(flags, '/api/publish', { method: 'POST', body: { topic, event, data }, headers });
    printJson(answer);
  },
});
