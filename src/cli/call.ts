/** `roomwire call`: one call over the socket. */
import { messageOf } from '../protocol/code-texts.js';
import { command, CommandError, jsonArgument } from './args.js';
import { printJson } from './print.js';
import { connectTo, remoteFlags } from './remote.js';

export const call = command({
  name: 'call',
  usage: '<name> [json] [options]',
  summary: 'Calls the server and prints the reply as JSON.',
  takes: [1, 2],
  flags: {
    ...remoteFlags,
    key: { type: 'string', value: 'KEY', help: 'idempotency key: makes a retry safe' },
  },
  async run(flags, [name = '', json = '{}']) {
    const input = jsonArgument('the input', json);
    const client = await connectTo(flags.url as string, flags.token);
    try {
      const reply = await client.call(name, input, flags.key === undefined ? {} : { key: flags.key });
      printJson(reply);
    } catch (error) {
      const { code, name: errorName, details } = error as { code?: number; details?: unknown } & Error;
      const more = details === undefined ? '' : ` ${JSON.stringify(details)}`;
      throw new CommandError(
        `${errorName}${code === undefined ? '' : ` (${code})`}: ${messageOf(error as Error)}${more}`,
      );
    } finally {
      client.close();
    }
  },
});
